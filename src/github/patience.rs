//! How long GitHub's rate limits are waited for, and when not at all.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::transport::Reply;

/// Waiting may not take longer than this in all, nor at once than a minute.
const IN_ALL: Duration = Duration::from_secs(120);
const AT_ONCE: Duration = Duration::from_secs(60);

/// What is left of it.
#[derive(Debug, Default)]
pub(super) struct Patience {
    waited: Duration,
}

impl Patience {
    /// Takes a wait out of the budget; `false`, and nothing taken, if it asks too much. `again`: the
    /// same request was refused for a limit before.
    pub(super) fn grants(&mut self, wait: Duration, again: bool) -> bool {
        let total = self.waited.saturating_add(wait);
        // A minute is what is asked for where GitHub names no time; a second one would be a guess.
        if wait > AT_ONCE || total > IN_ALL || (again && wait == AT_ONCE) {
            return false;
        }
        self.waited = total;
        true
    }
}

/// How long a 403 or 429 asks to wait; `None` if it is no rate limit.
pub(super) fn limit(reply: &Reply) -> Option<Duration> {
    if let Some(seconds) = reply.number("retry-after") {
        return Some(Duration::from_secs(seconds));
    }
    if reply.number("x-ratelimit-remaining") == Some(0) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let reset = reply.number("x-ratelimit-reset").unwrap_or(u64::MAX);
        return Some(Duration::from_secs(reset.saturating_sub(now).saturating_add(1)));
    }
    let text = reply.body.to_lowercase();
    let secondary = text.contains("secondary rate limit") || text.contains("abuse detection");
    (secondary || reply.status == 429).then_some(AT_ONCE)
}

/// A little more waiting, different in every run.
pub(super) fn jitter(most: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0);
    Duration::from_millis(random % (most.as_millis() as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn a_minute_at_once_and_two_in_all() {
        let mut patience = Patience::default();
        assert!(!patience.grants(seconds(61), false));
        assert!(patience.grants(seconds(60), false));
        assert!(!patience.grants(seconds(60), true));
        assert!(patience.grants(seconds(40), true));
        assert!(!patience.grants(seconds(21), false));
        assert!(patience.grants(seconds(20), false));
        assert!(!patience.grants(seconds(1), false));
        assert!(!patience.grants(Duration::MAX, false));
    }

    #[test]
    fn a_limit_is_told_from_a_refusal() {
        let reply = |status: u16, headers: &[(&str, &str)], body: &str| Reply {
            status,
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: body.into(),
        };
        assert_eq!(limit(&reply(403, &[], "Resource not accessible by integration")), None);
        assert_eq!(limit(&reply(403, &[("retry-after", "7")], "")), Some(seconds(7)));
        assert_eq!(limit(&reply(429, &[], "")), Some(AT_ONCE));
        assert_eq!(limit(&reply(403, &[], "You have exceeded a secondary rate limit")), Some(AT_ONCE));
        let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")];
        assert_eq!(limit(&reply(403, &used_up, "")), Some(seconds(1)));
        assert!(limit(&reply(403, &used_up[..1], "")).unwrap() > IN_ALL);
    }
}
