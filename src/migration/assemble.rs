//! One migration out of its one or two files.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Backfill, Checksum, Directive, DirectiveKind, Directives, Form, Layout, Migration, Section, SourceFile,
    control, directive,
    file_name::{FileName, Part},
    section::{self, Raw, Split},
};
use crate::{
    error::Problem,
    finding::{Direction, Place},
    sql::{self, Comment},
};

/// The files of one migration.
pub(super) struct Files {
    pub(super) name: FileName,
    pub(super) up: Arc<SourceFile>,
    /// The `.down.sql`, or the file in the rollbacks folder.
    pub(super) down: Option<(Layout, Arc<SourceFile>)>,
    /// The Supabase CLI runs whatever lies in the folder, live DOWN sections included.
    pub(super) supabase_runs: bool,
}

/// Must run under [`sql::with_large_stack`].
pub(super) fn assemble(files: &Files) -> Migration {
    let Files { name, up: file, down: down_file, supabase_runs } = files;
    let mut split = section::split(file, Direction::Up);
    let mut problems = std::mem::take(&mut split.problems);
    let mut directives = Vec::new();

    let own_down = split.down.take();
    let layout = match (down_file, &own_down) {
        (Some((layout, _)), _) => *layout,
        (None, Some(_)) => Layout::Sections,
        (None, None) if split.marker(Direction::Up).is_some() => Layout::Sections,
        (None, None) => Layout::UpOnly,
    };
    if let (Some((_, other)), Some(marker)) = (down_file, split.marker(Direction::Down)) {
        problems.push(Problem::malformed(
            file.place(marker.span.clone()),
            format!("a DOWN section, and `{}` is its DOWN too", other.path),
            "Keep one of them.",
        ));
    }

    let raw_up = split.up.take().unwrap_or(Raw { form: Form::Live, sql: String::new(), offsets: Vec::new() });
    let mut up = make(Direction::Up, file, raw_up);
    let mut down = match down_file {
        Some((_, file)) => Some(rollback(file, &mut directives, &mut problems)),
        None => own_down.map(|raw| {
            let down = make(Direction::Down, file, raw);
            section_directives(&down, false, false, &mut directives);
            down
        }),
    };
    up_directives(file, &split, &up, &mut directives);
    let directives = Directives::new(directives);

    let mut migration = Migration {
        version: name.version,
        description: description(file, &split.opening).unwrap_or_else(|| name.slug.replace(['_', '-'], " ")),
        version_text: name.version_text.clone(),
        slug: name.slug.clone(),
        path: file.path.clone(),
        layout: if name.part == Part::Up { Layout::Pair } else { layout },
        up: up.clone(),
        down: None,
        irreversible: directives.iter().find_map(|directive| match &directive.kind {
            DirectiveKind::Irreversible { reason } => Some(reason.clone()),
            _ => None,
        }),
        directives,
        wrapper_dropped: false,
        problems: Vec::new(),
    };

    for section in std::iter::once(&mut up).chain(&mut down) {
        let off = migration.transaction_off_in(section.direction);
        migration.wrapper_dropped |= !off && control::drop_wrapper(section);
        control::check(section, off, &mut problems);
    }
    // A file of comments alone is there on purpose; a section that was begun and not written is a slip.
    let remark =
        migration.layout == Layout::UpOnly && !migration.wrapper_dropped && !up.cut.comments.is_empty();
    if up.cut.pieces.is_empty() && !remark && !problems.iter().any(|problem| problem.unreadable) {
        let place = split.marker(Direction::Up).map(|marker| file.place(marker.span.clone()));
        problems.push(Problem::malformed(
            place.unwrap_or_else(|| Place::file(&file.path)),
            "the UP is empty: there is no statement in it",
            "Write the change, or remove the file.",
        ));
    }
    if let Some(down) = &down
        && *supabase_runs
    {
        problems.extend(cli_runs_down(layout, down));
    }
    problems.extend(migration.directives.iter().filter_map(unread_backfill));
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    Migration { up, down, problems, ..migration }
}

/// A backfill that is not understood must not run as the one transaction that it was meant to avoid.
fn unread_backfill(directive: &Directive) -> Option<Problem> {
    let DirectiveKind::Unknown { text, why } = &directive.kind else { return None };
    let name = text.split_ascii_whitespace().next()?;
    name.eq_ignore_ascii_case("backfill").then(|| Problem {
        rule: "unknown-directive",
        place: directive.place.clone(),
        what: format!("the backfill directive is not understood: {why}"),
        remedy: "Write `-- lockkeeper: backfill table=<table> key=<key> batch=5000 pause=50ms` above an UPDATE or DELETE.".into(),
        unreadable: false,
    })
}

fn make(direction: Direction, file: &Arc<SourceFile>, raw: Raw) -> Section {
    Section {
        direction,
        file: Arc::clone(file),
        form: raw.form,
        unwrapped: None,
        checksum: Checksum::of(&raw.sql),
        cut: sql::cut(&raw.sql),
        sql: raw.sql,
        offsets: raw.offsets,
    }
}

/// A file that is nothing but a DOWN, with or without the marker.
fn rollback(file: &Arc<SourceFile>, directives: &mut Vec<Directive>, problems: &mut Vec<Problem>) -> Section {
    let split = section::split(file, Direction::Down);
    problems.extend(split.problems);
    if let Some(up) = &split.up {
        let pieces = sql::cut(&up.sql).pieces;
        let marker = split.markers.iter().find(|marker| marker.direction == Direction::Up);
        let span = marker.map(|marker| marker.span.clone()).or_else(|| {
            let body = pieces.first()?.body.clone();
            Some(super::file_offset(&up.offsets, body.start)..super::file_offset(&up.offsets, body.end))
        });
        if let Some(span) = span {
            problems.push(Problem::malformed(
                file.place(span),
                "UP SQL in a file that is the DOWN of another",
                "Keep only the DOWN here.",
            ));
        }
    }
    let raw = split.down.unwrap_or(Raw { form: Form::Live, sql: String::new(), offsets: Vec::new() });
    let section = make(Direction::Down, file, raw);
    section_directives(&section, false, true, directives);
    section
}

/// The directives of the head, of another tool's marker, and of the UP section.
fn up_directives(file: &Arc<SourceFile>, split: &Split, up: &Section, out: &mut Vec<Directive>) {
    let first = (up.cut.statements().count() > 0).then_some(1);
    for comment in &split.head {
        for (span, kind) in directive::read(&file.text[comment.span.clone()]) {
            let place = file.place(comment.span.start + span.start..comment.span.start + span.end);
            out.push(Directive { kind, place, section: Direction::Up, statement: first, head: true });
        }
    }
    for marker in &split.markers {
        for option in marker.options.split_whitespace() {
            let kind = match option {
                "transaction:false" | "notransaction" => DirectiveKind::TransactionOff,
                "transaction:true" => continue,
                _ => DirectiveKind::Unknown {
                    text: option.into(),
                    why: "only `transaction:false` (dbmate's) and `notransaction` (sql-migrate's) are known here".into(),
                },
            };
            let place = file.place(marker.span.clone());
            let section = marker.direction;
            out.push(Directive { kind, place, section, statement: first, head: false });
        }
    }
    // Without an UP marker the comments above the first statement are the head of the file.
    let head = split.marker(Direction::Up).is_none() && split.marker(Direction::Down).is_some();
    section_directives(up, head, true, out);
}

/// The directives in a section's comments. `opens_file`: above its first statement is the file's head.
fn section_directives(section: &Section, head: bool, opens_file: bool, out: &mut Vec<Directive>) {
    let statements: Vec<&sql::Piece> = section.cut.statements().collect();
    let first = statements.first().map_or(usize::MAX, |piece| piece.body.start);
    for comment in &section.cut.comments {
        let start = comment.span.start;
        let opening = start < first;
        // A comment inside a statement is about that statement.
        let number = || statements.partition_point(|piece| piece.body.end <= start) + 1;
        for (span, kind) in directive::read(&section.sql[comment.span.clone()]) {
            let statement = Some(number()).filter(|number| *number <= statements.len());
            let kind = placed(kind, section, statement, opening, opens_file);
            // goose takes both halves out of the transaction, wherever it reads that.
            let head = head && opening || directive::is_gooses(&section.sql[comment.span.clone()]);
            let place = section.place(start + span.start..start + span.end);
            out.push(Directive { kind, place, section: section.direction, statement, head });
        }
    }
}

/// The statements of a section (by number) that are to run in batches.
pub(crate) fn backfills_in(section: &Section) -> BTreeMap<usize, Backfill> {
    let mut directives = Vec::new();
    section_directives(section, false, false, &mut directives);
    let backfills = directives.into_iter().filter_map(|directive| match directive.kind {
        DirectiveKind::Backfill(backfill) => Some((directive.statement?, backfill)),
        _ => None,
    });
    backfills.collect()
}

/// A directive where it means nothing is not understood.
fn placed(
    kind: DirectiveKind,
    section: &Section,
    statement: Option<usize>,
    opening: bool,
    opens_file: bool,
) -> DirectiveKind {
    let unknown = |text: &str, why: &str| DirectiveKind::Unknown { text: text.into(), why: why.into() };
    match &kind {
        DirectiveKind::IgnoreFile { rules, squawk, .. } if !(opening && opens_file) => {
            let name = if *squawk { "squawk-ignore-file" } else { "ignore-file" };
            unknown(
                format!("{name} {}", rules.join(", ")).trim_end(),
                "it belongs at the head of the file, above the first statement",
            )
        }
        DirectiveKind::Irreversible { .. } if section.direction == Direction::Up && !opening => {
            unknown("irreversible", "it belongs in the DOWN section, or at the head of the file")
        }
        DirectiveKind::Backfill(_) => {
            let piece = statement.and_then(|number| section.cut.statements().nth(number - 1));
            let word = piece.map(|piece| {
                let text = &section.sql[piece.body.clone()];
                text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default().to_ascii_lowercase()
            });
            match word.as_deref() {
                Some("update" | "delete" | "with") => kind,
                _ => unknown("backfill", "it belongs directly above an UPDATE or DELETE"),
            }
        }
        _ => kind,
    }
}

/// `-- Description: …` above the first statement.
fn description(file: &SourceFile, opening: &[Comment]) -> Option<String> {
    opening.iter().flat_map(|comment| file.text[comment.span.clone()].lines()).find_map(|line| {
        let line = line.trim_start_matches(|c: char| c.is_whitespace() || "-/*".contains(c));
        let (name, text) = line.split_once(':')?;
        let text = text.trim().trim_end_matches("*/").trim();
        (name.trim().eq_ignore_ascii_case("description") && !text.is_empty()).then(|| text.to_owned())
    })
}

/// `supabase db push` and Supabase branching run every file of the folder from top to bottom, so a
/// live DOWN undoes its own UP and both are recorded as applied.
fn cli_runs_down(layout: Layout, down: &Section) -> Option<Problem> {
    let first = down.cut.pieces.first()?;
    let (what, remedy) = match layout {
        Layout::Pair => (
            "the Supabase CLI would run this `.down.sql` as a migration, and undo the one it belongs to",
            "Move the DOWN into the `.sql` file as a comment (`lockkeeper create` writes that form), or into \
             supabase/rollbacks; or set `migrations.only_applier = \"lockkeeper\"` if nothing else runs these files.",
        ),
        Layout::Sections if down.form == Form::Live => (
            "the Supabase CLI would run this DOWN right after the UP, and record the migration as applied",
            "Put the DOWN into one `/* … */`, or `-- ` before each of its lines; or set \
             `migrations.only_applier = \"lockkeeper\"` if nothing else runs these files.",
        ),
        _ => return None,
    };
    Some(Problem {
        rule: "supabase-cli-runs-down",
        place: down.place(first.body.clone()),
        what: what.into(),
        remedy: remedy.into(),
        unreadable: false,
    })
}
