//! The clock, read in one place. Callers at the edges ask here what time it is and pass it on as a value; the core and
//! the store's statements only ever get it as an argument. `clippy.toml` bans reading a clock anywhere else.

use time::OffsetDateTime;

/// The time of day, in UTC.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// A moment to measure from; not affected when the time of day is set.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

/// As [`instant`], by the runtime's clock, which tests can stop and move.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub fn runtime_instant() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// The time of day as files and archives have it.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub fn system() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
