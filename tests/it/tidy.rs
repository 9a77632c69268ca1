//! The architecture, held by a test: layers, crates that are kept in one room, registered rules,
//! file sizes, and paths that the documents name.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Rooms by layer: a file imports only from layers above its own line, and from its own room.
const LAYERS: &[&[&str]] = &[
    &["secret", "lock", "env", "interrupt"],
    &["sql"],
    &["finding"],
    &["rehearsal"],
    &["error"],
    &["config"],
    &["migration"],
    &["stats"],
    &["schema", "db", "patterns"],
    &["rules", "workspace"],
    &["shadow", "history", "github", "supabase", "webhook"],
    &["report"],
    &["commands"],
];

/// What may be named only in some rooms.
const KEPT_IN: &[(&str, &[&str])] = &[
    ("octocrab::", &["src/github/"]),
    ("hyper_util::", &["src/github/"]),
    ("hyper_rustls::", &["src/github/"]),
    ("tokio::", &["src/github/"]),
    ("ureq::", &["src/supabase/", "src/supabase.rs", "src/webhook.rs"]),
    ("postgres::", &["src/db/", "src/shadow/", "src/history/"]),
    ("pg_query::", &["src/sql/"]),
    ("clap::", &["src/commands/"]),
    // The shadow's tests start a server of their own.
    ("std::env", &["src/main.rs", "src/commands/session.rs", "src/face/tester.rs", "src/shadow/server.rs"]),
    ("println!", &["src/commands/session.rs"]),
    ("print!", &["src/commands/session.rs"]),
];

const MOST_LINES: usize = 400;

/// Files that are longer and better left whole. Keep this short.
const LONG: &[&str] = &[
    // One lexer, one state machine.
    "src/sql/cut.rs",
    "src/report/markdown.rs",
    "src/migration/section.rs",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder, relative to the root, with `/`.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let path = path.strip_prefix(root()).expect("a file of ours");
                found.push(path.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Tests may look at everything.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.ends_with("fixture.rs")
}

/// The code without its own tests and without comments.
fn code(path: &str) -> String {
    let text = read(path);
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end].lines().filter(|line| !line.trim_start().starts_with("//")).fold(
        String::new(),
        |mut out, line| {
            out.push_str(line);
            out.push('\n');
            out
        },
    )
}

/// Names that follow `crate::`, in `crate::a` and in `crate::{a, b::{c}}`.
fn imports(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => {
                    found.insert(word(&list[start..at]));
                    break;
                }
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    found.insert(word(&list[start..at]));
                    start = at + 1;
                }
                _ => {}
            }
        }
    }
    found.remove("");
    found
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

#[test]
fn files_import_only_from_lower_layers() {
    let mut wrong = Vec::new();
    for path in files("src", ".rs").iter().filter(|path| !is_test(path)) {
        let inner = path.strip_prefix("src/").expect("a source");
        let room = inner.split('/').next().expect("a name").trim_end_matches(".rs");
        if matches!(room, "lib" | "main") {
            continue;
        }
        // The library's face stands on everything.
        let Some(own) = layer(room) else { continue };
        for import in imports(&code(path)) {
            match layer(&import) {
                Some(other) if import == room || other < own => {}
                Some(_) => wrong.push(format!("{path} imports {import}, which is not below it")),
                None => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_are_kept_in_their_rooms() {
    let mut wrong = Vec::new();
    for path in files("src", ".rs").iter().filter(|path| !is_test(path)) {
        let code = code(path);
        for (name, rooms) in KEPT_IN {
            let named = code.match_indices(name).any(|(at, _)| {
                !code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':')
            });
            if named && !rooms.iter().any(|room| path.starts_with(room)) {
                wrong.push(format!("{path} names {name}, which belongs to {rooms:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    for path in files("src", ".rs").iter().filter(|path| !is_test(path)) {
        let text = read(path);
        let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        let lines = text[..end].lines().count();
        match (lines > MOST_LINES, LONG.contains(&path.as_str())) {
            (true, false) => wrong.push(format!("{path} has {lines} lines without its tests")),
            (false, true) => wrong.push(format!("{path} is short enough now: take it off the list")),
            _ => {}
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{path} does not say what it is for"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_is_registered() {
    let list = read("src/rules/catalog/mod.rs");
    let names: Vec<String> = files("src/rules/catalog", ".rs")
        .iter()
        .map(|path| path.trim_start_matches("src/rules/catalog/").trim_end_matches(".rs").to_owned())
        .filter(|name| name != "mod")
        .collect();
    let mut wrong = Vec::new();
    for name in &names {
        if !list.contains(&format!("mod {name};")) || !list.contains(&format!("&{name}::RULE,")) {
            wrong.push(format!("{name} is missing in one of the two lists of catalog/mod.rs"));
        }
        let spelled = format!("name: \"{}\",", name.replace('_', "-"));
        if !read(&format!("src/rules/catalog/{name}.rs")).contains(&spelled) {
            wrong.push(format!("{name}.rs holds a rule of another name"));
        }
    }
    for needle in ["mod ", "&"] {
        let listed: Vec<&str> = list
            .lines()
            .map(str::trim)
            .filter_map(|line| {
                let line = line.strip_prefix("pub(super) ").unwrap_or(line);
                line.strip_prefix(needle)?.split([';', ':']).next()
            })
            .collect();
        if !listed.is_sorted() {
            wrong.push(format!("the lines that begin with `{needle}` are not in alphabetical order"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Rooms that the documents name and that are still being built.
const PLANNED: &[&str] = &["supabase/"];

#[test]
fn documents_name_paths_that_exist() {
    let mut wrong = Vec::new();
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = read(document);
        // Fences hold commands, and their backquotes would turn inside and outside round.
        let mut fenced = false;
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            if fenced {
                continue;
            }
            for quoted in line.split('`').skip(1).step_by(2) {
                let path = quoted.trim_end_matches('/');
                let looks_like_one = quoted.contains('/')
                    || [".rs", ".md", ".toml", ".yml", ".sql"].iter().any(|ending| quoted.ends_with(ending));
                let speaks_of_one = looks_like_one
                    && !quoted.contains([' ', '<', '*', '{', '$', '=', '(', ':', '…', '|'])
                    && !quoted.starts_with(['/', '-', '@', '.']);
                let there = || {
                    let places = [root().join(path), root().join("src").join(path)];
                    places.iter().any(|place: &PathBuf| Path::exists(place))
                };
                if speaks_of_one && !PLANNED.contains(&quoted) && !there() {
                    wrong.push(format!("{document}: there is no `{quoted}`"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
