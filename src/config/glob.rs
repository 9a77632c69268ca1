//! Path patterns of `[[overrides]]`, `include` and `exclude`.

/// Whether a path (with `/`) matches a pattern: `?` is one character and `*` any run of them within
/// a name, `**` any run of folders. A pattern that names a folder matches all that is in it.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let pattern = pattern.trim_start_matches("./");
    let path = path.trim_start_matches("./");
    let pattern: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    !pattern.is_empty() && folders(&pattern, &path)
}

fn folders(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], _) => true,
        (["**"], _) => !path.is_empty(),
        (["**", rest @ ..], _) => (0..=path.len()).any(|skip| folders(rest, &path[skip..])),
        ([_, ..], []) => false,
        ([first, rest @ ..], [name, deeper @ ..]) => within(first, name) && folders(rest, deeper),
    }
}

/// The classic two-pointer match: on a mismatch the last `*` takes one character more.
fn within(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn matches_paths() {
        let path = "supabase/migrations/20240101_add.sql";
        for pattern in [
            "supabase/migrations/2024*",
            "supabase/migrations",
            "supabase/migrations/",
            "**/2024*_add.sql",
            "**",
            "supabase/**",
            "supabase/**/2024*",
            "./supabase/*/20240101_???.sql",
            path,
        ] {
            assert!(matches(pattern, path), "{pattern}");
        }
        for pattern in ["", "migrations", "2024*", "supabase/*.sql", "supabase/migrations/2024", "*/2024*"] {
            assert!(!matches(pattern, path), "{pattern}");
        }
    }
}
