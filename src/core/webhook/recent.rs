//! Recognizes replays of deliveries from the last hour. Nothing is forgotten earlier, however many others arrive: when there
//! is no room for another, that one is not taken, and polling finds its push. A replay after that hour, or after a restart,
//! only causes one check of a source that has not changed.

use std::collections::{HashSet, VecDeque};

use time::{Duration, OffsetDateTime};

use crate::core::digest::Digest;

/// How long a delivery is remembered.
pub(crate) const REPLAY_WINDOW: Duration = Duration::hours(1);
/// How many marks are kept, of which a delivery has one or two: 28 deliveries a second for an hour, in a few megabytes.
pub(crate) const MAX_MARKS: usize = 100_000;

/// Whether a delivery was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Not within the last hour.
    Never,
    /// Within the last hour.
    Before,
    /// There is no room to remember it.
    NoRoom,
}

/// The recent deliveries.
#[derive(Debug, Default)]
pub struct RecentDeliveries {
    marks: HashSet<u128>,
    order: VecDeque<(OffsetDateTime, u128)>,
}

impl RecentDeliveries {
    /// Whether any of these marks is remembered; remembers them, if there is room.
    pub(crate) fn insert(&mut self, marks: &[Digest], now: OffsetDateTime) -> Seen {
        while let Some((at, mark)) = self.order.front()
            && now - *at > REPLAY_WINDOW
        {
            self.marks.remove(mark);
            self.order.pop_front();
        }
        let marks: Vec<u128> = marks.iter().map(short).collect();
        let seen = if marks.iter().any(|mark| self.marks.contains(mark)) { Seen::Before } else { Seen::Never };
        if self.order.len() + marks.len() > MAX_MARKS {
            return if seen == Seen::Before { seen } else { Seen::NoRoom };
        }
        for mark in marks {
            if self.marks.insert(mark) {
                self.order.push_back((now, mark));
            }
        }
        seen
    }
}

/// The first half of a digest: as hard to guess as need be, in a sixth of the memory.
fn short(digest: &Digest) -> u128 {
    let half = digest.as_str().get(..32).and_then(|hex| u128::from_str_radix(hex, 16).ok());
    half.unwrap_or_default()
}
