//! The rules that are on, by when they look.

use super::{ALL, ChangeContext, Check, Context, FileContext, Noted, Rule, Sink, levels};
use crate::config::Config;

type Of<T> = Vec<(&'static Rule, T)>;

/// What looks at a text.
pub(super) type OnText = fn(&str) -> Vec<Noted>;

/// See [`Check`].
#[derive(Default)]
pub(super) struct Checks {
    pub(super) text: Of<OnText>,
    pub(super) statement: Of<fn(&Context<'_>, &mut Sink<'_>)>,
    pub(super) file: Of<fn(&FileContext<'_>, &mut Sink<'_>)>,
    pub(super) change: Of<fn(&ChangeContext<'_>, &mut Sink<'_>)>,
}

impl Checks {
    /// Without those that the configuration switches off everywhere.
    pub(super) fn on(config: &Config) -> Self {
        let mut checks = Self::default();
        for rule in ALL.iter().copied().filter(|rule| levels::is_on_somewhere(config, rule)) {
            for check in rule.checks {
                match check {
                    Check::Text(check) => checks.text.push((rule, *check)),
                    Check::Statement(check) => checks.statement.push((rule, *check)),
                    Check::File(check) => checks.file.push((rule, *check)),
                    Check::Change(check) => checks.change.push((rule, *check)),
                    Check::Elsewhere => {}
                }
            }
        }
        checks
    }
}
