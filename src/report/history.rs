//! Where the change stands in the history: every migration of the folder on a line of time.

use std::fmt::Write;

use super::{count, escape::html};

/// A migration of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Milestone {
    pub(crate) version: i64,
    pub(crate) description: String,
    /// Part of the change that is checked.
    pub(crate) new: bool,
}

/// More marks than this run into one another.
const MARKS: usize = 400;

/// The section of the page; nothing where there is no history to stand in.
pub(super) fn section(out: &mut String, milestones: &[Milestone]) {
    let old = milestones.iter().filter(|milestone| !milestone.new).count();
    if old == 0 || old == milestones.len() {
        return;
    }
    let _ = write!(
        out,
        "<section class=\"file\">\n<h2>History</h2>\n<div class=\"block\">\n<p class=\"about\">{} before, {} in this \
         change</p>\n<div class=\"history\">",
        count(old, "migration"),
        milestones.len() - old
    );
    // In order of time, so that the change is drawn over the rest.
    let every = old.div_ceil(MARKS);
    let kept = |new: bool| milestones.iter().enumerate().filter(move |(_, milestone)| milestone.new == new);
    let places = places(milestones);
    for (at, milestone) in kept(false).step_by(every).chain(kept(true).take(MARKS)) {
        let _ = write!(
            out,
            "<i{} style=\"left:{:.2}%\" title=\"{} {}\"></i>",
            if milestone.new { " class=\"new\"" } else { "" },
            places[at] * 100.0,
            milestone.version,
            html(&milestone.description)
        );
    }
    let label = |milestone: Option<&Milestone>| milestone.map(|it| day(it.version)).unwrap_or_default();
    let _ = write!(
        out,
        "</div>\n<div class=\"axis\"><span>{}</span><span>{}</span></div>\n</div>\n</section>\n",
        label(milestones.first()),
        label(milestones.last())
    );
}

/// From 0 to 1: by time where every version tells one, else by order.
fn places(milestones: &[Milestone]) -> Vec<f64> {
    let times: Option<Vec<i64>> = milestones.iter().map(|milestone| seconds(milestone.version)).collect();
    let values = times.unwrap_or_else(|| (0..milestones.len() as i64).collect());
    let first = values.iter().min().copied().unwrap_or(0);
    let length = (values.iter().max().copied().unwrap_or(0) - first).max(1) as f64;
    values.into_iter().map(|value| (value - first) as f64 / length).collect()
}

/// Seconds since 1970 of a version that is a time: `YYYYMMDDHHMMSS`, or milliseconds.
fn seconds(version: i64) -> Option<i64> {
    match version {
        // Until the year 2100.
        1_000_000_000_000..=4_102_444_800_000 => Some(version / 1000),
        19_000_101_000_000..=99_991_231_235_959 => {
            let (date, time) = (version / 1_000_000, version % 1_000_000);
            let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
            let (hour, minute, second) = (time / 10_000, time / 100 % 100, time % 100);
            let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
            // Days since 1970 in the Gregorian calendar, with years that begin in March.
            let year = if month <= 2 { year - 1 } else { year };
            let month = (month + 9) % 12;
            let days =
                365 * year + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469;
            is_date.then_some(days * 86_400 + hour * 3600 + minute * 60 + second)
        }
        _ => None,
    }
}

/// The version's day where it names one, else the version.
fn day(version: i64) -> String {
    match version {
        19_000_101_000_000..=99_991_231_235_959 => {
            let date = version / 1_000_000;
            format!("{}-{:02}-{:02}", date / 10_000, date / 100 % 100, date % 100)
        }
        _ => version.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milestone(version: i64, new: bool) -> Milestone {
        Milestone { version, description: "a <b>".into(), new }
    }

    #[test]
    fn a_version_is_a_time() {
        assert_eq!(seconds(19_700_101_000_000), Some(0));
        assert_eq!(seconds(20_000_301_000_001), Some(951_868_801));
        assert_eq!(seconds(20_240_229_120_000), Some(1_709_208_000));
        assert_eq!(seconds(1_709_208_000_000), Some(1_709_208_000));
        assert_eq!(seconds(20_241_329_120_000), None);
        assert_eq!(seconds(7), None);
    }

    #[test]
    fn the_change_stands_among_what_was_before() {
        let all = [milestone(20_260_101_000_000, false), milestone(20_260_111_000_000, true)];
        let mut out = String::new();
        section(&mut out, &all);
        insta::assert_snapshot!(out, @r#"
        <section class="file">
        <h2>History</h2>
        <div class="block">
        <p class="about">1 migration before, 1 in this change</p>
        <div class="history"><i style="left:0.00%" title="20260101000000 a &lt;b&gt;"></i><i class="new" style="left:100.00%" title="20260111000000 a &lt;b&gt;"></i></div>
        <div class="axis"><span>2026-01-01</span><span>2026-01-11</span></div>
        </div>
        </section>
        "#);
        out.clear();
        section(&mut out, &all[1..]);
        assert_eq!(out, "");
        let many: Vec<Milestone> = (1..10_000).map(|n| milestone(n, n == 5)).collect();
        section(&mut out, &many);
        assert!(out.matches("<i").count() <= MARKS + 1 && out.contains("class=\"new\""));
    }
}
