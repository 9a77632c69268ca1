//! The state of the session as statements run: settings, the open transaction, locks held.

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use super::{
    At, Catalog,
    held::{Held, Moment},
};

/// A setting that the migration itself made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) set_at: At,
    /// `SET LOCAL`: gone at the end of the transaction.
    pub(crate) local: bool,
}

/// The settings of a session.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Effective, `$user` left out; `pg_temp` is always searched first.
    pub(crate) search_path: Vec<String>,
    pub(crate) search_path_set: Option<Setting<Vec<String>>>,
    /// `None`: the migration has not set it, what the runner sets holds.
    pub(crate) lock_timeout: Option<Setting<Duration>>,
    pub(crate) statement_timeout: Option<Setting<Duration>>,
    pub(crate) role: Option<Setting<String>>,
    pub(crate) session_authorization: Option<Setting<String>>,
    pub(crate) replication_role: Option<Setting<String>>,
    pub(crate) timezone: Option<Setting<String>>,
    /// Every other setting made, lower-case name → value text.
    pub(crate) others: BTreeMap<String, Setting<String>>,
}

/// The session in which the migration runs. Reads as its settings.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    settings: Settings,
    pub(crate) transaction: Transaction,
    /// What will be left of the settings when the transaction commits: without `SET LOCAL`.
    lasting: Option<Settings>,
    /// States to go back to: the first is that at BEGIN, the others are savepoints.
    marks: Vec<Mark>,
    /// Nothing rolls back: the model need not be kept at each BEGIN.
    goes_on: bool,
}

impl Deref for Session {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }
}

/// What ROLLBACK brings back.
#[derive(Debug, Clone)]
struct Mark {
    /// Of the savepoint; empty for the transaction itself.
    name: String,
    settings: Settings,
    lasting: Option<Settings>,
    held: Moment,
    /// `None`: nobody will ask for it.
    catalog: Option<Arc<Catalog>>,
}

/// `"$user"` names no schema on Supabase.
const INITIAL_PATH: [&str; 2] = ["public", "extensions"];

impl Settings {
    fn initial() -> Self {
        Self {
            search_path: INITIAL_PATH.map(str::to_owned).to_vec(),
            search_path_set: None,
            lock_timeout: None,
            statement_timeout: None,
            role: None,
            session_authorization: None,
            replication_role: None,
            timezone: None,
            others: BTreeMap::new(),
        }
    }

    fn assign(&mut self, name: &str, values: Option<&[String]>, local: bool, set_at: At) {
        let text = values.map(|values| values.join(", "));
        let setting = text.clone().map(|value| Setting { value, set_at, local });
        let time = || text.as_deref().and_then(duration).map(|value| Setting { value, set_at, local });
        match name.to_lowercase().as_str() {
            "search_path" => {
                self.search_path_set = values.map(|values| Setting { value: values.to_vec(), set_at, local });
                self.search_path = match values {
                    None => INITIAL_PATH.map(str::to_owned).to_vec(),
                    Some(values) => values
                        .iter()
                        .filter(|schema| !schema.is_empty() && *schema != "$user")
                        .cloned()
                        .collect(),
                };
            }
            "lock_timeout" => self.lock_timeout = time(),
            "statement_timeout" => self.statement_timeout = time(),
            "role" => self.role = setting.filter(|setting| !setting.value.eq_ignore_ascii_case("none")),
            "session_authorization" => self.session_authorization = setting,
            "session_replication_role" => self.replication_role = setting,
            "timezone" => self.timezone = setting,
            other => {
                match setting {
                    Some(setting) => self.others.insert(other.to_owned(), setting),
                    None => self.others.remove(other),
                };
            }
        }
    }

    /// RESET ALL leaves the role and the session authorization alone.
    fn reset(&mut self) {
        let (role, authorization) = (self.role.take(), self.session_authorization.take());
        *self = Self { role, session_authorization: authorization, ..Self::initial() };
    }
}

impl Session {
    /// A fresh session as the runner opens it (`"$user", public, extensions`).
    pub(crate) fn new(transaction: Transaction) -> Self {
        let lasting = transaction.is_open().then(Settings::initial);
        Self { settings: Settings::initial(), transaction, lasting, marks: Vec::new(), goes_on: false }
    }

    /// Says that no statement of the session will roll back: a copy of a large model at each BEGIN would
    /// take most of a check.
    pub(crate) fn never_goes_back(&mut self) {
        self.goes_on = true;
    }

    /// Does something under another search path, where one is given.
    pub(crate) fn along(&mut self, path: Option<Vec<String>>, work: impl FnOnce(&mut Self)) {
        let Some(path) = path else { return work(self) };
        let own = std::mem::replace(&mut self.settings.search_path, path);
        work(self);
        self.settings.search_path = own;
    }

    /// Sets a parameter. `None` as values: back to what the session began with.
    pub(super) fn set(&mut self, name: &str, values: Option<&[String]>, local: bool, at: At) {
        if local && !self.transaction.is_open() {
            // Postgres warns "SET LOCAL can only be used in transaction blocks" and does nothing.
            return;
        }
        self.settings.assign(name, values, local, at);
        if !local && let Some(lasting) = &mut self.lasting {
            lasting.assign(name, values, local, at);
        }
    }

    /// RESET ALL.
    pub(super) fn reset_all(&mut self) {
        self.settings.reset();
        if let Some(lasting) = &mut self.lasting {
            lasting.reset();
        }
    }

    /// The runner's own transactions, in a file that it runs in steps: opens or ends one before a
    /// statement that runs `inside` one or not.
    pub(crate) fn step(&mut self, inside: bool) {
        if inside && !self.transaction.is_open() {
            // Nobody rolls the runner's own transaction back: nothing has to be kept for it.
            self.lasting = Some(self.settings.clone());
            self.transaction.runner = true;
        } else if !inside && self.transaction.runner {
            self.commit(false);
        }
    }

    /// `BEGIN`: within a transaction that is open already Postgres only warns.
    pub(super) fn begin(&mut self, catalog: &Catalog) {
        if !self.transaction.is_open() {
            self.lasting = Some(self.settings.clone());
            self.mark(String::new(), catalog);
        }
        self.transaction.explicit = true;
    }

    /// `COMMIT`, or what ends a transaction without undoing it.
    pub(super) fn commit(&mut self, chain: bool) {
        if let Some(lasting) = self.lasting.take() {
            self.settings = lasting;
        }
        self.end(chain);
    }

    /// `ROLLBACK`: the model as it was at BEGIN, where that is known.
    pub(super) fn rollback(&mut self, chain: bool) -> Option<Arc<Catalog>> {
        let begun = std::mem::take(&mut self.marks).into_iter().next().filter(|mark| mark.name.is_empty());
        let catalog = begun.and_then(|mark| {
            self.settings = mark.settings;
            mark.catalog
        });
        self.lasting = None;
        self.end(chain);
        catalog
    }

    fn end(&mut self, chain: bool) {
        self.marks.clear();
        self.transaction.runner = false;
        self.transaction.explicit = chain;
        self.transaction.held.clear();
        if chain {
            self.lasting = Some(self.settings.clone());
        }
    }

    /// `SAVEPOINT name`.
    pub(super) fn mark(&mut self, name: String, catalog: &Catalog) {
        let catalog = (!self.goes_on).then(|| Arc::new(catalog.clone()));
        self.marks.push(Mark {
            name,
            settings: self.settings.clone(),
            lasting: self.lasting.clone(),
            held: self.transaction.held.moment(),
            catalog,
        });
    }

    /// `ROLLBACK TO name`: the savepoint itself stays, later ones go, and so do locks taken since.
    pub(super) fn back_to(&mut self, name: &str) -> Option<Arc<Catalog>> {
        let found = self.marks.iter().rposition(|mark| mark.name == name)?;
        self.marks.truncate(found + 1);
        let mark = self.marks.last()?;
        self.transaction.held.back_to(&mark.held);
        self.lasting.clone_from(&mark.lasting);
        self.settings.clone_from(&mark.settings);
        mark.catalog.clone()
    }

    /// `RELEASE name`.
    pub(super) fn release(&mut self, name: &str) {
        if let Some(found) = self.marks.iter().rposition(|mark| mark.name == name) {
            self.marks.truncate(found);
        }
    }
}

/// A time setting: milliseconds where no unit is named.
/// <https://www.postgresql.org/docs/current/config-setting.html#CONFIG-SETTING-NAMES-VALUES>
pub(super) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "us" => 0.001,
        "" | "ms" => 1.0,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit / 1000.0).ok()
}

/// The transaction that is open, if any, and what it holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transaction {
    /// Counts transactions through the whole change; statements outside one get a number each.
    pub(crate) number: usize,
    /// Opened by the runner around the file.
    pub(crate) runner: bool,
    /// Opened by `BEGIN` in the file.
    pub(crate) explicit: bool,
    pub(crate) held: Held,
}

impl Transaction {
    /// Whether statements run inside a transaction block.
    pub(crate) fn is_open(&self) -> bool {
        self.runner || self.explicit
    }
}
