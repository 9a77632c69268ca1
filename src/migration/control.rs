//! What a file may not hold because Lockkeeper runs it: transaction control, psql's own commands,
//! `COPY … FROM STDIN`.
//!
//! Faults of form, kept as problems: history that some other tool applied may hold any of them and
//! is still replayed on a shadow.

use super::Section;
use crate::{
    error::Problem,
    sql::{
        self, Piece, PieceKind,
        ast::{NodeEnum, TransactionStmtKind},
    },
};

/// A statement of transaction control at the top level of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    /// `plain`: it asks for nothing that the runner's own transaction lacks.
    Begin {
        plain: bool,
    },
    Commit {
        plain: bool,
    },
    Rollback,
    /// `COMMIT AND CHAIN`, `ROLLBACK AND CHAIN`: the next transaction begins at once.
    Chain,
    TwoPhase,
}

/// Takes the wrapper off a section that is wholly one `BEGIN; … COMMIT;`: its pieces are dropped and
/// its text blanked, so that every offset stays and nobody can send it by mistake.
pub(super) fn drop_wrapper(section: &mut Section) -> bool {
    let statements: Vec<usize> = (0..section.cut.pieces.len())
        .filter(|at| section.cut.pieces[*at].kind == PieceKind::Statement)
        .collect();
    let (Some(&first), Some(&last)) = (statements.first(), statements.last()) else { return false };
    let control = |at: usize| control(section, &section.cut.pieces[at]);
    let wrapped = control(first) == Some(Control::Begin { plain: true })
        && control(last) == Some(Control::Commit { plain: true })
        && statements[1..statements.len() - 1].iter().all(|at| control(*at).is_none());
    if !wrapped {
        return false;
    }
    section.unwrapped = Some(section.cut.pieces[first].body.clone());
    for at in [last, first] {
        let piece = section.cut.pieces.remove(at);
        let blank: String = section.sql[piece.body.start..piece.end]
            .bytes()
            .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
            .collect();
        section.sql.replace_range(piece.body.start..piece.end, &blank);
        section.cut.comments.retain(|comment| !(piece.body.start..piece.end).contains(&comment.span.start));
    }
    true
}

/// Looks for what only another runner could run.
pub(super) fn check(section: &Section, transaction_off: bool, problems: &mut Vec<Problem>) {
    let mut open: Option<&Piece> = None;
    for (at, piece) in section.cut.pieces.iter().enumerate() {
        let problem = |rule, what: String, remedy: &str| Problem {
            rule,
            place: section.place(piece.body.clone()),
            what,
            remedy: remedy.into(),
            unreadable: false,
        };
        match piece.kind {
            PieceKind::MetaCommand => problems.push(meta_command(section, piece)),
            PieceKind::CopyData => {}
            PieceKind::Statement => {
                let next = section.cut.pieces.get(at + 1);
                if copies_from_client(section, piece, next) {
                    problems.push(problem(
                        "psql-only-syntax",
                        "`COPY … FROM STDIN` waits for data that only psql would send".into(),
                        "Write the rows as INSERT statements.",
                    ));
                }
                let Some(control) = control(section, piece) else { continue };
                let text = &section.sql[piece.body.clone()];
                if !transaction_off || control == Control::TwoPhase {
                    problems.push(problem(
                        "transaction-control",
                        format!(
                            "`{}` would end or nest the transaction that the file runs in",
                            first_words(text)
                        ),
                        "Remove it: a file is one transaction already. Where a part must commit on its own, \
                         say `-- lockkeeper: transaction off` and keep each BEGIN with its COMMIT.",
                    ));
                    continue;
                }
                match (control, open) {
                    (Control::Begin { .. }, None) => open = Some(piece),
                    (Control::Begin { .. }, Some(_)) => problems.push(problem(
                        "transaction-control",
                        "`BEGIN` inside a transaction that is still open".into(),
                        "Commit the first one before it.",
                    )),
                    (Control::Chain, Some(_)) => open = Some(piece),
                    (_, Some(_)) => open = None,
                    (_, None) => problems.push(problem(
                        "transaction-control",
                        format!("`{}` with no transaction open", first_words(text)),
                        "Remove it, or put the BEGIN that it belongs to before it.",
                    )),
                }
            }
        }
    }
    if let Some(piece) = open {
        problems.push(Problem {
            rule: "unclosed-transaction",
            place: section.place(piece.body.clone()),
            what: "the transaction that begins here is never committed".into(),
            remedy: "Add its COMMIT.".into(),
            unreadable: false,
        });
    }
}

/// The grammar decides; the first word only says whether to ask it.
fn control(section: &Section, piece: &Piece) -> Option<Control> {
    const FIRST: &[&str] = &["begin", "start", "commit", "end", "rollback", "abort", "prepare"];
    let text = &section.sql[piece.body.clone()];
    if !FIRST.contains(&first_word(text).as_str()) {
        return None;
    }
    let node = sql::parse(text).ok()?.into_iter().next()?.node?;
    let NodeEnum::TransactionStmt(statement) = node else { return None };
    let plain = statement.options.is_empty() && !statement.chain;
    match statement.kind() {
        TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => {
            Some(Control::Begin { plain })
        }
        TransactionStmtKind::TransStmtCommit | TransactionStmtKind::TransStmtRollback if statement.chain => {
            Some(Control::Chain)
        }
        TransactionStmtKind::TransStmtCommit => Some(Control::Commit { plain }),
        TransactionStmtKind::TransStmtRollback => Some(Control::Rollback),
        TransactionStmtKind::TransStmtPrepare
        | TransactionStmtKind::TransStmtCommitPrepared
        | TransactionStmtKind::TransStmtRollbackPrepared => Some(Control::TwoPhase),
        _ => None,
    }
}

fn copies_from_client(section: &Section, piece: &Piece, next: Option<&Piece>) -> bool {
    let text = &section.sql[piece.body.clone()];
    if first_word(text) != "copy" {
        return false;
    }
    match sql::parse(text).ok().and_then(|nodes| nodes.into_iter().next()).and_then(|node| node.node) {
        Some(NodeEnum::CopyStmt(copy)) => copy.is_from && copy.filename.is_empty() && !copy.is_program,
        _ => next.is_some_and(|piece| piece.kind == PieceKind::CopyData),
    }
}

fn meta_command(section: &Section, piece: &Piece) -> Problem {
    let text = &section.sql[piece.body.clone()];
    let command = text.split_whitespace().next().unwrap_or(text);
    let remedy = match command {
        "\\restrict" | "\\unrestrict" => {
            "Delete the `\\restrict` and `\\unrestrict` lines that pg_dump wrote."
        }
        "\\copy" => "Write the rows as INSERT statements.",
        "\\i" | "\\ir" | "\\include" | "\\include_relative" => "Put the SQL of that file here.",
        _ => "Write it as SQL.",
    };
    Problem {
        rule: "psql-only-syntax",
        place: section.place(piece.body.clone()),
        what: format!("`{command}` is a command of psql; no server understands it"),
        remedy: remedy.into(),
        unreadable: false,
    }
}

fn first_word(text: &str) -> String {
    text.chars().take_while(char::is_ascii_alphabetic).take(16).collect::<String>().to_ascii_lowercase()
}

/// Such as `COMMIT` or `PREPARE TRANSACTION`.
fn first_words(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    let second = ["transaction", "prepared", "work"];
    let mut words = words.take(2);
    let mut out = words.next().unwrap_or_default().to_ascii_uppercase();
    if let Some(word) = words.next().filter(|word| second.contains(&word.to_ascii_lowercase().as_str())) {
        out.push(' ');
        out.push_str(&word.to_ascii_uppercase());
    }
    out
}
