//! Which deliveries were here before: those of the last hour, and no more than a few thousand. Who captured one can have
//! it again after that, or after a restart, and then has caused one look at a source that has not changed.

use std::collections::{HashSet, VecDeque};

use time::{Duration, OffsetDateTime};

use crate::core::digest::Digest;

/// How long a delivery is known again.
pub const SEEN_FOR: Duration = Duration::hours(1);
/// How many marks are kept; a delivery has one or two. The oldest go first.
pub const MOST_SEEN: usize = 8192;

/// The deliveries that were here.
#[derive(Debug, Default)]
pub struct RecentDeliveries {
    marks: HashSet<Digest>,
    order: VecDeque<(OffsetDateTime, Digest)>,
}

impl RecentDeliveries {
    /// Whether none of these marks was here lately; from now on they were.
    pub(crate) fn is_new(&mut self, marks: &[Digest], now: OffsetDateTime) -> bool {
        while let Some((at, mark)) = self.order.front()
            && (now - *at > SEEN_FOR || self.order.len() > MOST_SEEN)
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
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}
