//! `docs/rules/`: written from the rules, never by hand.

use std::{collections::BTreeSet, path::Path};

use crate::rules::{ALL, page};

#[test]
fn pages_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules");
    std::fs::create_dir_all(&folder).unwrap();
    let mut pages: Vec<(String, String)> =
        ALL.iter().map(|rule| (format!("{}.md", rule.name), page::of(rule))).collect();
    pages.push(("README.md".into(), page::index()));
    let mut changed = Vec::new();
    for (name, text) in &pages {
        let path = folder.join(name);
        if std::fs::read_to_string(&path).ok().as_ref() != Some(text) {
            std::fs::write(&path, text).unwrap();
            changed.push(name.clone());
        }
    }
    let names: BTreeSet<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !names.contains(name.as_str()) {
            std::fs::remove_file(folder.join(&name)).unwrap();
            changed.push(name);
        }
    }
    assert!(changed.is_empty(), "docs/rules was behind the rules and has been rewritten: {changed:?}");
}
