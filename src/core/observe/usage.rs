//! What containers use: from two readings to CPU usage. Pure.

use time::OffsetDateTime;

/// A reading of a container at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageSample {
    /// The moment.
    pub at: OffsetDateTime,
    /// Bytes of memory in use, without file caches.
    pub memory: u64,
    /// Billionths of a second of CPU time since it was started.
    pub cpu: u64,
}

/// The resources of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capacity {
    /// Its host name.
    pub node: String,
    /// The number of its processors.
    pub cpus: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// The engine's version.
    pub engine: String,
    /// The disk where the engine stores its data, if that is on this machine.
    pub disk: Option<DiskSpace>,
}

/// The space on a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// All of it.
    pub total: u64,
    /// What is free for the engine.
    pub free: u64,
}

/// What a container used between two readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Used {
    /// MiB of memory, as of the later one.
    pub(crate) memory_mb: i32,
    /// CPU usage in percent of one processor.
    pub(crate) cpu_percent: f32,
}

impl Used {
    /// From two readings; `None` if the counter was reset in between, or no time passed.
    pub(crate) fn between(before: &UsageSample, after: &UsageSample) -> Option<Self> {
        let passed = (after.at - before.at).whole_nanoseconds();
        let used = after.cpu.checked_sub(before.cpu)?;
        if passed <= 0 {
            return None;
        }
        let memory_mb = i32::try_from(after.memory >> 20).unwrap_or(i32::MAX);
        Some(Self { memory_mb, cpu_percent: (used as f64 / passed as f64 * 100.0) as f32 })
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn half_a_second_of_processor_in_ten_is_five_percent() {
        let before = UsageSample { at: OffsetDateTime::UNIX_EPOCH, memory: 0, cpu: 1_000_000_000 };
        let after = UsageSample { at: before.at + Duration::seconds(10), memory: 300 << 20, cpu: 1_500_000_000 };
        assert_eq!(Used::between(&before, &after), Some(Used { memory_mb: 300, cpu_percent: 5.0 }));
        assert_eq!(Used::between(&after, &before), None, "it was restarted");
        assert_eq!(Used::between(&after, &after), None);
    }
}
