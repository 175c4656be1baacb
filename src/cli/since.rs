//! A time in the past, as people type it: so long ago, or a moment.

use std::str::FromStr;

use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::core::quantity::Span;

/// A time in the past: so long ago, or a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long ago.
    Ago(Span),
    /// At this moment.
    At(OffsetDateTime),
}

/// A text is no time in the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a length of time like 90s, 30m, 12h or 7d, or a moment like 2026-11-24T12:00:00Z")]
pub(crate) struct NotATime;

impl FromStr for Since {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
            return Ok(Self::At(at));
        }
        // `Span` has no days, since manifests do not need them.
        let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()?.checked_mul(86_400_000));
        days.map(Span).map_or_else(|| text.parse(), Ok).map(Self::Ago).map_err(|_| NotATime)
    }
}

impl Since {
    /// The moment; the beginning of time if it is longer ago than that.
    pub(crate) fn moment(self, now: OffsetDateTime) -> OffsetDateTime {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => i64::try_from(span.0)
                .ok()
                .and_then(|span| now.checked_sub(Duration::milliseconds(span)))
                .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_in_the_past_is_a_length_or_a_moment() {
        let now = datetime!(2026-11-27 12:00 UTC);
        for (text, at) in [
            ("90s", datetime!(2026-11-27 11:58:30 UTC)),
            ("12", datetime!(2026-11-27 11:59:48 UTC)),
            ("2h", datetime!(2026-11-27 10:00 UTC)),
            ("7d", datetime!(2026-11-20 12:00 UTC)),
            ("2026-11-24T12:00:00Z", datetime!(2026-11-24 12:00 UTC)),
            ("99999999d", OffsetDateTime::UNIX_EPOCH),
        ] {
            assert_eq!(text.parse::<Since>().unwrap().moment(now), at, "{text}");
        }
        for text in ["", "yesterday", "-1h", "18446744073709551615d"] {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
    }
}
