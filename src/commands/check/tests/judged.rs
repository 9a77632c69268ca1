//! The whole of `check` but for the shadow, and every format of its report.

use super::{inside, load, next_boundary};
use crate::{
    commands::{
        Format,
        check::{assemble, render},
    },
    config::Config,
    finding::{Finding, Place},
    migration::{Migration, MigrationSet},
    report::{CheckReport, ShadowState},
    rules::{self, Base, Input},
    sql,
};

pub(super) fn read(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let half = next_boundary(&text, text.len() / 2);
    let down = format!("-- UP MIGRATION\n{}\n-- DOWN MIGRATION\n{}", &text[..half], &text[half..]);
    for files in [
        vec![("20260101000001_f.sql", bytes)],
        vec![
            ("20260101000001_f.sql", text[..half].as_bytes()),
            ("20260101000002_g.sql", &bytes[half.min(bytes.len())..]),
        ],
        vec![("20260101000001_f.sql", down.as_bytes())],
    ] {
        let set = load(&files);
        let report = judge(&set, false);
        assert_eq!(format!("{:?}", report.findings), format!("{:?}", judge(&set, false).findings));
        report.findings.iter().for_each(|finding| check(finding, &set));
        judge(&set, true).findings.iter().for_each(|finding| check(finding, &set));
        shown(&report);
    }
}

fn judge(set: &MigrationSet, with_history: bool) -> CheckReport {
    let all: Vec<&Migration> = set.migrations.iter().collect();
    let (history, change) = if with_history { all.split_at(all.len() / 2) } else { all.split_at(0) };
    let judged = rules::judge(&Input {
        history,
        change,
        base: &Base::default(),
        config: &Config::default(),
        pg: 17,
        stats: None,
        problems: &set.problems,
        rehearsals: None,
        now: None,
    });
    let files = change.iter().zip(&judged.facts).map(|(file, facts)| assemble::file(file, facts, None));
    CheckReport {
        files: files.collect(),
        findings: judged.findings,
        ignored: judged.ignored,
        tables: judged.tables,
        history: Vec::new(),
        shadow: ShadowState::Skipped("off".into()),
        fail_on: None,
        not_verified: judged.notes,
        unreadable: false,
        shadow_missing: false,
    }
}

/// A finding stands in its file, and what it offers is SQL.
fn check(finding: &Finding, set: &MigrationSet) {
    let text = |place: &Place| {
        let sections = set.migrations.iter().flat_map(|file| [Some(&file.up), file.down.as_ref()]).flatten();
        sections
            .map(|section| &section.file)
            .find(|file| file.path == place.file)
            .map_or("", |file| &file.text)
    };
    inside(&finding.place, text(&finding.place));
    let offers = finding.suggestion.iter().chain(finding.edit.as_ref().map(|edit| &edit.text));
    for offer in offers {
        let cut = sql::cut(offer);
        assert!(cut.unclosed.is_none(), "{finding:#?}");
        for piece in cut.statements() {
            let statement = &offer[piece.body.clone()];
            sql::with_large_stack(|| {
                if let Err(error) = sql::parse(statement) {
                    panic!("{error:?} in what is offered:\n{offer}\n{finding:#?}");
                }
            });
        }
    }
    if let Some(edit) = &finding.edit {
        inside(&edit.place, text(&edit.place));
    }
}

/// Every format is drawn, and holds nothing that a terminal or a runner would obey.
fn shown(report: &CheckReport) {
    for format in [Format::Text, Format::Json, Format::Sarif, Format::Github, Format::Markdown, Format::Html]
    {
        let text = render(report, format, false);
        let control = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        assert_eq!(control, None, "{format:?}:\n{text}");
        if matches!(format, Format::Json | Format::Sarif) {
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        }
        if format == Format::Text {
            let command =
                text.lines().find(|line| line.trim_start().starts_with("::") || line.contains("##["));
            assert_eq!(command, None, "{text}");
        }
    }
}
