//! `key=value` arguments of a pattern.

use super::PatternError;

/// A parameter of a pattern.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) help: &'static str,
}

impl Key {
    pub(super) const fn required(name: &'static str, help: &'static str) -> Self {
        Self { name, required: true, help }
    }

    pub(super) const fn optional(name: &'static str, help: &'static str) -> Self {
        Self { name, required: false, help }
    }
}

/// Arguments that were checked against the keys of their pattern.
#[derive(Debug)]
pub(crate) struct Arguments<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Arguments<'a> {
    pub(super) fn parse(keys: &'static [Key], arguments: &'a [String]) -> Result<Self, PatternError> {
        let mut found: Vec<(&'static str, &'a str)> = Vec::new();
        for argument in arguments {
            let Some((name, value)) = argument.split_once('=') else {
                return Err(PatternError::Malformed(format!("`{argument}` is not of the form key=value")));
            };
            let name = name.trim().replace('-', "_");
            let Some(key) = keys.iter().find(|key| key.name == name) else {
                return Err(PatternError::UnknownKey(name));
            };
            if found.iter().any(|(other, _)| *other == key.name) {
                return Err(PatternError::Malformed(format!("`{name}` is given twice")));
            }
            found.push((key.name, value.trim()));
        }
        let given = |key: &&Key| found.iter().any(|(name, value)| *name == key.name && !value.is_empty());
        match keys.iter().filter(|key| key.required).find(|key| !given(key)) {
            Some(key) => Err(PatternError::Missing { key: key.name, help: key.help }),
            None => Ok(Self(found)),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(name, value)| *name == key && !value.is_empty()).map(|(_, value)| *value)
    }

    /// The value of a key that [`Arguments::parse`] has found to be there.
    pub(super) fn text(&self, key: &str) -> &'a str {
        self.get(key).unwrap_or_default()
    }

    pub(super) fn flag(&self, key: &'static str) -> Result<bool, PatternError> {
        match self.get(key) {
            None | Some("false" | "no" | "0") => Ok(false),
            Some("true" | "yes" | "1") => Ok(true),
            Some(value) => {
                Err(PatternError::Invalid { key, value: value.into(), why: "write true or false".into() })
            }
        }
    }

    /// A comma-separated list; commas inside parentheses and quotes do not part.
    pub(super) fn list(&self, key: &str) -> Vec<String> {
        let (mut items, mut depth, mut quote) = (vec![String::new()], 0_i32, None);
        for c in self.text(key).chars() {
            match (c, quote) {
                (c, Some(open)) if c == open => quote = None,
                ('\'' | '"', None) => quote = Some(c),
                ('(', None) => depth += 1,
                (')', None) => depth -= 1,
                (',', None) if depth == 0 => {
                    items.push(String::new());
                    continue;
                }
                _ => {}
            }
            if let Some(item) = items.last_mut() {
                item.push(c);
            }
        }
        items.iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    }
}
