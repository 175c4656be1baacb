//! When a source counts as stale: it was not read successfully for so long that somebody should know. Pure; it goes by
//! the time of the last successful read alone, so a reader that died silently is found out too.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use time::{Duration, OffsetDateTime};

/// How many reads may be missed.
pub(crate) const MISSED: i32 = 3;

/// When a source became stale that should be read every `interval` and was last read successfully at `read_at`; `None`:
/// it is not.
pub(crate) fn stale_since(read_at: OffsetDateTime, interval: Duration, now: OffsetDateTime) -> Option<OffsetDateTime> {
    // An interval can have any length; one that exceeds the calendar is never missed.
    let since = read_at.checked_add(interval.checked_mul(MISSED)?)?;
    (now >= since).then_some(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_stale_when_three_readings_in_a_row_are_missing() {
        let at = |seconds| OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds);
        let minute = Duration::minutes(1);
        assert_eq!(stale_since(at(0), minute, at(179)), None);
        assert_eq!(stale_since(at(0), minute, at(180)), Some(at(180)));
        assert_eq!(stale_since(at(0), minute, at(9999)), Some(at(180)), "since it began, however late it is noticed");
        assert_eq!(stale_since(at(100), minute, at(0)), None, "a clock that was set back makes nothing stale");
        assert_eq!(stale_since(at(0), Duration::MAX, at(9999)), None);
    }
}
