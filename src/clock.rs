//! The only place that reads the clock. The edges pass the time on as a value; the core and the store's statements get it as
//! an argument. `clippy.toml` bans reading a clock anywhere else.

use time::OffsetDateTime;

/// The current time in UTC.
#[expect(clippy::disallowed_methods, reason = "the only place that reads it")]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// A monotonic instant, to measure durations.
#[expect(clippy::disallowed_methods, reason = "the only place that reads it")]
pub(crate) fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

/// Like [`instant`], by the runtime's clock, which tests can pause and advance.
#[expect(clippy::disallowed_methods, reason = "the only place that reads it")]
pub(crate) fn runtime_instant() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// The time since the machine was started, including the time it was asleep, which no clock above counts.
#[expect(clippy::disallowed_methods, reason = "the only place that reads it")]
pub(crate) fn since_boot() -> std::time::Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    std::time::Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default())
}

/// The current time in the format of files and archives.
#[expect(clippy::disallowed_methods, reason = "the only place that reads it")]
pub fn system() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
