//! How all pages show times, amounts and phases. The current time is an argument.

use crate::core::{event::Severity, report::phase::Phase};
use serde::Serialize;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// A time as pages show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// For programs.
    pub(crate) iso: String,
    /// Its distance from now: `3 min ago`, `in 2 h`.
    pub(crate) ago: String,
    /// In full: `24 Nov 2026, 12:34:56 UTC`.
    pub(crate) full: String,
}

impl Moment {
    /// `at`, seen from `now`.
    pub(crate) fn new(at: OffsetDateTime, now: OffsetDateTime) -> Self {
        let at = at.to_offset(UtcOffset::UTC);
        let (hour, minute, second) = at.to_hms();
        let month = &at.month().to_string()[..3];
        Self {
            // With whole seconds, so that the same moment always has the same text.
            iso: at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default(),
            ago: distance((now - at).whole_seconds()),
            full: format!("{} {month} {}, {hour:02}:{minute:02}:{second:02} UTC", at.day(), at.year()),
        }
    }
}

/// Seconds, positive in the past, as people say them.
fn distance(seconds: i64) -> String {
    let amount = match seconds.abs() {
        0..=4 if seconds >= 0 => return "just now".into(),
        whole @ 0..60 => format!("{whole} s"),
        whole @ 60..3600 => format!("{} min", whole / 60),
        whole @ 3600..172_800 => format!("{} h", whole / 3600),
        whole => format!("{} d", whole / 86_400),
    };
    if seconds < 0 { format!("in {amount}") } else { format!("{amount} ago") }
}

/// How good something is, for its color and icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tone {
    /// Good.
    Good,
    /// In progress.
    Busy,
    /// Somebody should look.
    Warn,
    /// Broken.
    Bad,
    /// At rest, or unimportant.
    Idle,
}

impl Tone {
    /// The tone of a phase.
    pub(crate) fn of_phase(phase: Phase) -> Self {
        if phase.is_on_its_way() { Self::Busy } else { phase.severity().into() }
    }
}

impl From<Severity> for Tone {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Idle,
            Severity::Success => Self::Good,
            Severity::Warning => Self::Warn,
            Severity::Error => Self::Bad,
        }
    }
}

/// A word with its tone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Badge {
    pub(crate) word: String,
    pub(crate) tone: Tone,
}

impl Badge {
    /// A word.
    pub(crate) fn new(word: impl Into<String>, tone: Tone) -> Self {
        Self { word: word.into(), tone }
    }

    /// A phase.
    pub(crate) fn of_phase(phase: Phase) -> Self {
        Self::new(phase.as_str(), Tone::of_phase(phase))
    }
}

/// A pod's name and the URL of its page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PodName {
    /// `tenant/pod`.
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) name: String,
    /// The URL of its page.
    pub(crate) path: String,
}

impl PodName {
    /// A pod by tenant and name. Both are DNS labels, so they are safe in a URL.
    pub(crate) fn new(tenant: &str, name: &str) -> Self {
        Self {
            id: format!("{tenant}/{name}"),
            tenant: tenant.into(),
            name: name.into(),
            path: format!("/dashboard/pods/{tenant}/{name}"),
        }
    }
}

/// A revision as shown in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RevisionMark {
    /// Its short form.
    pub(crate) short: String,
    /// Its full hash.
    pub(crate) hash: String,
    /// Its page.
    pub(crate) href: String,
    /// Its commit, if it has one.
    pub(crate) commit: Option<String>,
    /// The commit's first line.
    pub(crate) subject: Option<String>,
    /// The commit's author.
    pub(crate) author: Option<String>,
}

impl RevisionMark {
    /// A revision by its number and the hash of its files.
    pub(crate) fn of(id: i64, hash: &str) -> Self {
        let short: String = hash.chars().take(8).collect();
        Self {
            short: format!("#{id} {short}"),
            hash: hash.into(),
            href: Self::page(id),
            commit: None,
            subject: None,
            author: None,
        }
    }

    /// The page of a revision; for people who see all tenants.
    pub(crate) fn page(id: i64) -> String {
        format!("/dashboard/revisions/{id}")
    }
}

/// A fact in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) text: String,
    /// Whether it is shown as code.
    pub(crate) code: bool,
    /// The URL it links to.
    pub(crate) href: Option<String>,
    /// Its time, if it is one.
    pub(crate) at: Option<Moment>,
}

impl Fact {
    /// A fact as text.
    pub(crate) fn words(name: &str, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), code: false, href: None, at: None }
    }

    /// A fact that is a name, a path or a number.
    pub(crate) fn code(name: &str, text: impl Into<String>) -> Self {
        Self { code: true, ..Self::words(name, text) }
    }

    /// A fact with a link.
    pub(crate) fn link(name: &str, text: impl Into<String>, href: impl Into<String>) -> Self {
        Self { href: Some(href.into()), ..Self::words(name, text) }
    }

    /// A fact that is a time.
    pub(crate) fn at(name: &str, at: Moment) -> Self {
        Self { at: Some(at), ..Self::words(name, "") }
    }
}

/// How much of something is used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct UsageBar {
    pub(crate) name: String,
    /// How much is used.
    pub(crate) used: String,
    /// The limit; empty if there is none.
    pub(crate) of: String,
    /// How full the bar is, in percent.
    pub(crate) width: f64,
    /// A note.
    pub(crate) note: String,
    /// Its tone: a warning near the limit.
    pub(crate) tone: Tone,
}

impl UsageBar {
    /// A bar; `most` of `None` means no limit.
    pub(crate) fn new(name: &str, used: f64, most: Option<f64>, say: impl Fn(f64) -> String) -> Self {
        let share = most.filter(|most| *most > 0.0).map_or(0.0, |most| used / most);
        Self {
            name: name.into(),
            used: say(used),
            of: most.map(&say).unwrap_or_default(),
            width: (share.clamp(0.0, 1.0) * 1000.0).round() / 10.0,
            note: String::new(),
            tone: match share {
                share if share >= 1.0 => Tone::Bad,
                share if share >= 0.85 => Tone::Warn,
                _ => Tone::Good,
            },
        }
    }

    /// The same with a note.
    #[must_use]
    pub(crate) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// MiB for people: `512 KiB`, `812 MiB`, `1.5 GiB`.
pub(crate) fn mebibytes(amount: f64) -> String {
    match amount {
        amount if amount > 0.0 && amount < 1.0 => format!("{:.0} KiB", amount * 1024.0),
        amount if amount < 10.0 => trim(amount, "MiB"),
        amount if amount < 1024.0 => format!("{amount:.0} MiB"),
        amount if amount < 1024.0 * 1024.0 => trim(amount / 1024.0, "GiB"),
        amount => trim(amount / 1024.0 / 1024.0, "TiB"),
    }
}

fn trim(amount: f64, unit: &str) -> String {
    if amount >= 100.0 || (amount * 10.0).round() % 10.0 == 0.0 {
        format!("{amount:.0} {unit}")
    } else {
        format!("{amount:.1} {unit}")
    }
}

/// CPU usage for people: `42 %`; 100 is one processor.
pub(crate) fn percent(amount: f64) -> String {
    if (0.05..9.95).contains(&amount) { format!("{amount:.1} %") } else { format!("{amount:.0} %") }
}

/// Thousandths of a processor as processors: `1.5`.
pub(crate) fn processors(thousandths: f64) -> String {
    let whole = (thousandths / 10.0).round() / 100.0;
    format!("{whole}")
}

/// `1,000 pods`, `1 pod`.
pub(crate) fn count(number: i64, what: &str) -> String {
    format!("{} {what}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// `12,345`.
pub(crate) fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + 4);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// The time of all samples.
pub(crate) const SAMPLE_NOW: OffsetDateTime = time::macros::datetime!(2026-11-24 12:34:56 UTC);

/// A time this many seconds before that of all samples.
pub fn sample_time(seconds: i64) -> Moment {
    Moment::new(SAMPLE_NOW - time::Duration::seconds(seconds), SAMPLE_NOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_by_their_distance() {
        let ages = [0, 4, 5, 59, 60, 3599, 3600, 172_799, 172_800, -90].map(|seconds| sample_time(seconds).ago);
        let expected =
            ["just now", "just now", "5 s ago", "59 s ago", "1 min ago", "59 min ago", "1 h ago", "47 h ago"];
        assert_eq!(ages[..8], expected);
        assert_eq!(ages[8..], ["2 d ago", "in 1 min"]);
        assert_eq!(sample_time(0).full, "24 Nov 2026, 12:34:56 UTC");
    }

    #[test]
    fn amounts_are_rounded_to_what_can_be_read() {
        assert_eq!([0.0, 0.5, 1.5].map(mebibytes), ["0 MiB", "512 KiB", "1.5 MiB"]);
        assert_eq!([812.0, 1024.0, 1536.0, 2_097_152.0].map(mebibytes), ["812 MiB", "1 GiB", "1.5 GiB", "2 TiB"]);
        assert_eq!([0.0, 0.004, 0.42, 42.4, 130.0].map(percent), ["0 %", "0 %", "0.4 %", "42 %", "130 %"]);
        assert_eq!([500.0, 2000.0, 1250.0].map(processors), ["0.5", "2", "1.25"]);
        assert_eq!([count(1, "pod"), count(12_345, "pod")], ["1 pod", "12,345 pods"]);
    }

    #[test]
    fn a_bar_near_its_limit_is_a_warning() {
        let tone = |used| UsageBar::new("memory", used, Some(100.0), mebibytes).tone;
        assert_eq!([10.0, 90.0, 100.0].map(tone), [Tone::Good, Tone::Warn, Tone::Bad]);
        assert_eq!(UsageBar::new("memory", 5.0, None, mebibytes).of, "");
    }
}
