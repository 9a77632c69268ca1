//! Directives: comments that speak to Lockkeeper.
//!
//! Reads the text of one comment. Where a directive may stand, and which statement it is about, is
//! `assemble`'s to decide. What is not understood is kept, with the reason, and becomes a finding.

use std::{ops::Range, time::Duration};

use super::{Backfill, DirectiveKind};
use crate::config::duration;

/// Whether a comment (delimiters included) speaks to Lockkeeper, well or badly, and does nothing
/// else: a block comment that holds SQL below a `-- lockkeeper:` line is SQL with a directive.
pub(super) fn is_one(comment: &str) -> bool {
    let opens = |body: &str| begins(body.trim_start_matches(|c: char| c.is_whitespace() || c == '*'));
    comment.strip_prefix("/*").is_none_or(opens) && !read(comment).is_empty()
}

/// The directives of a comment, each with its byte range in it.
///
/// A `--` comment holds at most one; in a `/* … */` each line may begin one, and lines that begin
/// none continue the one above.
pub(super) fn read(comment: &str) -> Vec<(Range<usize>, DirectiveKind)> {
    let mut found: Vec<(Range<usize>, String)> = Vec::new();
    let (body, start) = match comment.strip_prefix("--") {
        Some(body) => (body, 2),
        None => {
            let body = comment.strip_prefix("/*").unwrap_or(comment);
            (body.strip_suffix("*/").unwrap_or(body), 2)
        }
    };
    let mut at = start;
    for line in body.split_inclusive('\n') {
        // In a DOWN behind `-- ` a comment of its own begins with `-- -- `.
        let text = line.trim_end().trim_matches(|c: char| c.is_whitespace() || "*-".contains(c));
        let from = at + line.find(text).unwrap_or(0);
        let span = from..from + text.len();
        at += line.len();
        if begins(text) {
            found.push((span, text.to_owned()));
        } else if let Some((range, above)) = found.last_mut()
            && !text.is_empty()
        {
            range.end = span.end;
            above.push(' ');
            above.push_str(text);
        }
    }
    found.into_iter().filter_map(|(span, text)| Some((span, one(&text)?))).collect()
}

fn begins(text: &str) -> bool {
    strip(text, "lockkeeper").is_some() || strip(text, "squawk-ignore").is_some() || no_transaction(text)
}

/// goose's `-- +goose NO TRANSACTION`, which holds for the whole file.
pub(super) fn is_gooses(comment: &str) -> bool {
    comment.strip_prefix("--").is_some_and(|text| no_transaction(text.trim()))
}

fn no_transaction(text: &str) -> bool {
    strip(text, "+goose")
        .is_some_and(|rest| rest.split_whitespace().map(str::to_ascii_lowercase).eq(["no", "transaction"]))
}

fn strip<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then_some(rest)
}

/// The first word and the trimmed rest.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

fn one(text: &str) -> Option<DirectiveKind> {
    if let Some(rest) = strip(text, "squawk-ignore") {
        return squawk(rest);
    }
    if no_transaction(text) {
        return Some(DirectiveKind::TransactionOff);
    }
    let rest = strip(text, "lockkeeper")?.trim_start();
    let unknown = |why: &str| Some(DirectiveKind::Unknown { text: rest.trim().into(), why: why.into() });
    let Some(rest) = rest.strip_prefix(':') else {
        // Prose may begin with our name; a directive without its colon is a slip.
        let known = KNOWN.contains(&word(rest).0);
        return known.then(|| unknown("the colon after `lockkeeper` is missing")).flatten();
    };
    let (name, rest) = word(rest);
    Some(known(name, rest).unwrap_or_else(|why| {
        let text = format!("{name} {rest}").trim().to_owned();
        DirectiveKind::Unknown { text, why }
    }))
}

const KNOWN: &[&str] = &[
    "ignore",
    "ignore-file",
    "transaction",
    "lock-timeout",
    "statement-timeout",
    "irreversible",
    "backfill",
];

fn known(name: &str, rest: &str) -> Result<DirectiveKind, String> {
    match name {
        "ignore" => {
            let (rules, reason) = rules_and_reason(name, rest)?;
            Ok(DirectiveKind::Ignore { rules, reason, squawk: false })
        }
        "ignore-file" => {
            let (rules, reason) = rules_and_reason(name, rest)?;
            Ok(DirectiveKind::IgnoreFile { rules, reason, squawk: false })
        }
        "transaction" if rest == "off" => Ok(DirectiveKind::TransactionOff),
        "transaction" => Err("only `transaction off` can be asked for".into()),
        "lock-timeout" => Ok(DirectiveKind::LockTimeout(timeout(rest)?)),
        "statement-timeout" => Ok(DirectiveKind::StatementTimeout(timeout(rest)?)),
        "irreversible" if rest.is_empty() || rest == "<reason>" => {
            Err("the reason is missing: write `irreversible <reason>`".into())
        }
        "irreversible" => Ok(DirectiveKind::Irreversible { reason: rest.into() }),
        "backfill" => backfill(rest).map(DirectiveKind::Backfill),
        "" => Err(format!("nothing follows the colon; known are {}", KNOWN.join(", "))),
        _ => Err(match crate::config::nearest(name, KNOWN.iter().copied()) {
            Some(near) => format!("there is no directive `{name}`; did you mean `{near}`?"),
            None => format!("there is no directive `{name}`; known are {}", KNOWN.join(", ")),
        }),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| format!("`{text}` is no duration: write 500ms, 3s, 5min, 1h or 0"))
}

fn is_rule_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// `a, b the reason`: names as long as a comma follows, then the reason.
fn rules_and_reason(name: &str, text: &str) -> Result<(Vec<String>, String), String> {
    let (rules, reason) = rules(text);
    if rules.is_empty() {
        return Err(format!("no rule is named: write `{name} <rule>[, <rule>] <reason>`"));
    }
    if reason.is_empty() {
        let rules = rules.join(", ");
        return Err(format!("the reason is missing: write `{name} {rules} <reason>`"));
    }
    Ok((rules, reason))
}

fn rules(text: &str) -> (Vec<String>, String) {
    let mut rules = Vec::new();
    let mut rest = text.trim();
    loop {
        let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let name = name.trim_end_matches(':');
        if !is_rule_name(name) {
            break;
        }
        rules.push(name.to_owned());
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => break,
        }
    }
    (rules, rest.trim_start_matches(|c: char| c.is_whitespace() || "-:–—".contains(c)).trim().to_owned())
}

/// `squawk-ignore rule[, rule]`, `squawk-ignore-file rule[, rule]`; without a rule each means all of
/// squawk's.
fn squawk(rest: &str) -> Option<DirectiveKind> {
    let file = strip(rest, "-file");
    let names = file.unwrap_or(rest);
    if !names.is_empty() && !names.starts_with(|c: char| c.is_whitespace() || c == ':') {
        return None;
    }
    let name = if file.is_some() { "squawk-ignore-file" } else { "squawk-ignore" };
    let (rules, reason) = rules(names.trim_start_matches(':'));
    let reason = if reason.is_empty() { name.to_owned() } else { reason };
    Some(match file {
        Some(_) => DirectiveKind::IgnoreFile { rules, reason, squawk: true },
        None => DirectiveKind::Ignore { rules, reason, squawk: true },
    })
}

fn backfill(text: &str) -> Result<Backfill, String> {
    const USAGE: &str = "write `backfill table=… key=… batch=5000 pause=50ms`";
    let (mut table, mut key) = (None, None);
    let (mut batch, mut pause) = (5000, Duration::from_millis(50));
    for part in words_with_quotes(text) {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is no setting: {USAGE}"))?;
        let slot = match name {
            "table" => &mut table,
            "key" => &mut key,
            "batch" => {
                batch = value
                    .parse()
                    .ok()
                    .filter(|rows| (1..=1_000_000).contains(rows))
                    .ok_or_else(|| format!("`batch={value}` is no number of rows from 1 to 1000000"))?;
                continue;
            }
            "pause" => {
                pause = timeout(value)?;
                continue;
            }
            _ => return Err(format!("`{name}` is not known: {USAGE}")),
        };
        if value.is_empty() || slot.replace(value.to_owned()).is_some() {
            return Err(format!("`{name}` must be given once, with a value: {USAGE}"));
        }
    }
    match (table, key) {
        (Some(table), Some(key)) => Ok(Backfill { table, key, batch, pause }),
        (None, _) => Err(format!("`table` is missing: {USAGE}")),
        (_, None) => Err(format!("`key` is missing: {USAGE}")),
    }
}

/// Splits at white space outside double quotes.
fn words_with_quotes(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        match words.last_mut() {
            Some(word) if quoted || !c.is_whitespace() => word.push(c),
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_directives() {
        let comments = [
            "-- lockkeeper: ignore drop-column the app stopped reading it",
            "--lockkeeper:ignore drop-column , drop-table — both unused",
            "-- lockkeeper: ignore drop-column",
            "-- lockkeeper: ignore",
            "-- Lockkeeper: ignore-file rename-table: nobody uses it",
            "-- lockkeeper: transaction off",
            "-- lockkeeper: transaction on",
            "-- lockkeeper: lock-timeout 2s",
            "-- lockkeeper: lock-timeout soon",
            "-- lockkeeper: statement-timeout 5min",
            "-- lockkeeper: irreversible the rows are gone",
            "-- lockkeeper: irreversible",
            "-- lockkeeper: backfill table=public.users key=id",
            "-- lockkeeper: backfill table=\"My Table\" key=id batch=10 pause=1s",
            "-- lockkeeper: backfill table=t",
            "-- lockkeeper: backfill table=t key=id batch=0",
            "-- lockkeeper: backfill table=t key=id speed=9",
            "-- lockkeeper: ignored drop-column x",
            "-- lockkeeper:",
            "-- lockkeeper ignore drop-column x",
            "-- lockkeeper runs this file",
            "-- nothing",
            "/* lockkeeper: ignore drop-column\n *  because of\n *  this */",
            "/*\n lockkeeper: transaction off\n lockkeeper: lock-timeout 1s\n*/",
            "-- squawk-ignore ban-drop-column, ban-drop-table",
            "-- squawk-ignore",
            "-- squawk-ignore-file renaming-table",
            "-- squawk-ignore-file",
            "-- squawk-ignored",
        ];
        let text: Vec<String> = comments
            .iter()
            .map(|comment| {
                let found: Vec<String> = read(comment)
                    .into_iter()
                    .map(|(span, kind)| {
                        assert!(comment.get(span).is_some());
                        format!("{kind:?}")
                    })
                    .collect();
                format!("{comment}\n    {}", found.join("\n    "))
            })
            .collect();
        insta::assert_snapshot!(text.join("\n"), @r#"
        -- lockkeeper: ignore drop-column the app stopped reading it
            Ignore { rules: ["drop-column"], reason: "the app stopped reading it", squawk: false }
        --lockkeeper:ignore drop-column , drop-table — both unused
            Ignore { rules: ["drop-column", "drop-table"], reason: "both unused", squawk: false }
        -- lockkeeper: ignore drop-column
            Unknown { text: "ignore drop-column", why: "the reason is missing: write `ignore drop-column <reason>`" }
        -- lockkeeper: ignore
            Unknown { text: "ignore", why: "no rule is named: write `ignore <rule>[, <rule>] <reason>`" }
        -- Lockkeeper: ignore-file rename-table: nobody uses it
            IgnoreFile { rules: ["rename-table"], reason: "nobody uses it", squawk: false }
        -- lockkeeper: transaction off
            TransactionOff
        -- lockkeeper: transaction on
            Unknown { text: "transaction on", why: "only `transaction off` can be asked for" }
        -- lockkeeper: lock-timeout 2s
            LockTimeout(2s)
        -- lockkeeper: lock-timeout soon
            Unknown { text: "lock-timeout soon", why: "`soon` is no duration: write 500ms, 3s, 5min, 1h or 0" }
        -- lockkeeper: statement-timeout 5min
            StatementTimeout(300s)
        -- lockkeeper: irreversible the rows are gone
            Irreversible { reason: "the rows are gone" }
        -- lockkeeper: irreversible
            Unknown { text: "irreversible", why: "the reason is missing: write `irreversible <reason>`" }
        -- lockkeeper: backfill table=public.users key=id
            Backfill(Backfill { table: "public.users", key: "id", batch: 5000, pause: 50ms })
        -- lockkeeper: backfill table="My Table" key=id batch=10 pause=1s
            Backfill(Backfill { table: "\"My Table\"", key: "id", batch: 10, pause: 1s })
        -- lockkeeper: backfill table=t
            Unknown { text: "backfill table=t", why: "`key` is missing: write `backfill table=… key=… batch=5000 pause=50ms`" }
        -- lockkeeper: backfill table=t key=id batch=0
            Unknown { text: "backfill table=t key=id batch=0", why: "`batch=0` is no number of rows from 1 to 1000000" }
        -- lockkeeper: backfill table=t key=id speed=9
            Unknown { text: "backfill table=t key=id speed=9", why: "`speed` is not known: write `backfill table=… key=… batch=5000 pause=50ms`" }
        -- lockkeeper: ignored drop-column x
            Unknown { text: "ignored drop-column x", why: "there is no directive `ignored`; did you mean `ignore`?" }
        -- lockkeeper:
            Unknown { text: "", why: "nothing follows the colon; known are ignore, ignore-file, transaction, lock-timeout, statement-timeout, irreversible, backfill" }
        -- lockkeeper ignore drop-column x
            Unknown { text: "ignore drop-column x", why: "the colon after `lockkeeper` is missing" }
        -- lockkeeper runs this file
            
        -- nothing
            
        /* lockkeeper: ignore drop-column
         *  because of
         *  this */
            Ignore { rules: ["drop-column"], reason: "because of this", squawk: false }
        /*
         lockkeeper: transaction off
         lockkeeper: lock-timeout 1s
        */
            TransactionOff
            LockTimeout(1s)
        -- squawk-ignore ban-drop-column, ban-drop-table
            Ignore { rules: ["ban-drop-column", "ban-drop-table"], reason: "squawk-ignore", squawk: true }
        -- squawk-ignore
            Ignore { rules: [], reason: "squawk-ignore", squawk: true }
        -- squawk-ignore-file renaming-table
            IgnoreFile { rules: ["renaming-table"], reason: "squawk-ignore-file", squawk: true }
        -- squawk-ignore-file
            IgnoreFile { rules: [], reason: "squawk-ignore-file", squawk: true }
        -- squawk-ignored
        "#);
    }
}
