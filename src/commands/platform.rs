//! What Supabase's platform adds to a deploy: what its advisors say after it and did not say before,
//! and what there is to go back to. None of it changes the exit code: what cannot be asked is said to
//! be not verified.

use super::Session;
use crate::{
    config::Config,
    db::Address,
    error::Error,
    history::{Moment, Stamp, Target},
    supabase::{self, Backups, Lint, Project},
};

/// How many remarks of the advisors are told one by one.
const MOST: usize = 10;

/// The advisors, and what they said before.
pub(super) struct Advice {
    project: Project,
    before: Vec<Lint>,
}

/// Asks the advisors before a change, where that is set.
pub(super) fn ask_advisors(session: &Session, config: &Config, address: &Address) -> Option<Advice> {
    if !config.supabase.advisors {
        return None;
    }
    let Some(project) = supabase::project_of(address, &session.env) else {
        session.warn(
            "advisors: not verified. Set SUPABASE_ACCESS_TOKEN, and deploy to an address of Supabase's",
        );
        return None;
    };
    match project.advice() {
        Ok(before) => Some(Advice { project, before }),
        Err(error) => {
            session.warn(&not_verified("advisors", &error));
            None
        }
    }
}

impl Advice {
    /// Asks them again, and tells what is new.
    pub(super) fn tell_new(self, session: &Session) {
        let new = match self.project.advice() {
            Ok(now) => supabase::new_ones(&self.before, now),
            Err(error) => return session.warn(&not_verified("advisors", &error)),
        };
        if new.is_empty() {
            session.say("advisors: nothing new");
        }
        for lint in new.iter().take(MOST) {
            session.warn(&format!("new advice: {lint}"));
        }
        if new.len() > MOST {
            session.warn(&format!("and {} more: see Dashboard > Advisors", new.len() - MOST));
        }
    }
}

/// What there is to go back to, before rows are lost; `None` where the database is not Supabase's.
pub(super) fn way_back(session: &Session, target: &mut Target<'_>) -> Option<String> {
    let reference = target.address().project()?.to_owned();
    let page = format!("https://supabase.com/dashboard/project/{reference}/database/backups");
    let Some(project) = supabase::project_of(target.address(), &session.env) else {
        return Some(format!("backups: not verified (no SUPABASE_ACCESS_TOKEN). See {page}"));
    };
    Some(match project.backups() {
        Ok(backups) => format!("{}. See {page}", described(&backups, target)),
        Err(error) => not_verified("backups", &error),
    })
}

fn described(backups: &Backups, target: &mut Target<'_>) -> String {
    let mut at = |stamp| target.moment(stamp);
    let newest = match backups.newest().map(|text| at(Stamp::Text(text))) {
        Some(Some(Moment { text, ago, .. })) => format!("the newest backup is of {text}, {ago}"),
        Some(None) => "the age of the newest backup is not known".into(),
        None => "there is no finished backup".into(),
    };
    let range = backups.recoverable().map(|(from, to)| (at(Stamp::Unix(from)), at(Stamp::Unix(to))));
    let pitr = match range {
        Some((Some(from), Some(to))) => {
            format!("point-in-time recovery reaches from {} to {}, {}", from.text, to.text, to.ago)
        }
        _ if backups.pitr_enabled() => "point-in-time recovery is on, its reach not known".into(),
        _ => "point-in-time recovery is off".into(),
    };
    let now = at(Stamp::Now).map_or_else(String::new, |now| {
        format!(". The moment before this rollback is {} (unix time {})", now.text, now.unix)
    });
    format!("backups: {newest}; {pitr}{now}")
}

fn not_verified(what: &str, error: &Error) -> String {
    format!("{what}: not verified: {error}. {}", error.remedy())
}
