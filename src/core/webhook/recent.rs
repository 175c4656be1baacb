//! Recognizes replays of deliveries from the last hour, up to a few thousand. A replay after that, or after a restart,
//! only causes one check of a source that has not changed.

use std::collections::{HashSet, VecDeque};

use time::{Duration, OffsetDateTime};

use crate::core::digest::Digest;

/// How long a delivery is remembered.
pub(crate) const REPLAY_WINDOW: Duration = Duration::hours(1);
/// How many marks are kept, of which a delivery has one or two. The oldest go first.
pub(crate) const MAX_MARKS: usize = 8192;

/// The recent deliveries.
#[derive(Debug, Default)]
pub struct RecentDeliveries {
    marks: HashSet<Digest>,
    order: VecDeque<(OffsetDateTime, Digest)>,
}

impl RecentDeliveries {
    /// Whether none of these marks is remembered; remembers them.
    pub(crate) fn insert(&mut self, marks: &[Digest], now: OffsetDateTime) -> bool {
        while let Some((at, mark)) = self.order.front()
            && (now - *at > REPLAY_WINDOW || self.order.len() > MAX_MARKS)
        {
            self.marks.remove(mark);
            self.order.pop_front();
        }
        let is_new = marks.iter().all(|mark| !self.marks.contains(mark));
        for mark in marks {
            if self.marks.insert(mark.clone()) {
                self.order.push_back((now, mark.clone()));
            }
        }
        is_new
    }

    /// How many marks are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether no marks are kept.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}
