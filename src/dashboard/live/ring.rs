//! The last changes of one audience, numbered without gaps. Pure.

use std::{collections::VecDeque, sync::Arc};

use serde_json::Value;

/// How many changes are kept.
const CHANGES_KEPT: usize = 512;

/// The last changes.
#[derive(Debug, Default)]
pub(super) struct Ring {
    last: u64,
    kept: VecDeque<(u64, Arc<str>)>,
}

/// The changes that a viewer has not received yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// These changes, in order, each with its number; none if nothing is new.
    Changes(Vec<(u64, Arc<str>)>),
    /// More than is kept, or an unknown number: send a snapshot.
    TooMuch,
}

impl Ring {
    /// The number of the last change.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Adds a change, an object, with the next number.
    pub(crate) fn push(&mut self, change: &Value) {
        self.last += 1;
        let mut numbered = change.clone();
        numbered["seq"] = self.last.into();
        if self.kept.len() == CHANGES_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((self.last, numbered.to_string().into()));
    }

    /// Changes were missed.
    pub(crate) fn break_off(&mut self) {
        self.last += 1;
        self.kept.clear();
    }

    /// The changes after a number.
    pub(crate) fn since(&self, seq: u64) -> Since {
        let missing = self.last.checked_sub(seq).and_then(|missing| usize::try_from(missing).ok());
        match missing {
            Some(missing) if missing <= self.kept.len() => {
                Since::Changes(self.kept.iter().skip(self.kept.len() - missing).cloned().collect())
            }
            _ => Since::TooMuch,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn numbers(since: Since) -> Option<Vec<u64>> {
        match since {
            Since::Changes(changes) => Some(changes.into_iter().map(|(seq, _)| seq).collect()),
            Since::TooMuch => None,
        }
    }

    #[test]
    fn a_viewer_gets_what_it_has_not_received_and_a_snapshot_if_that_is_no_longer_kept() {
        let mut ring = Ring::default();
        assert_eq!(numbers(ring.since(0)), Some(vec![]));
        (0..3).for_each(|_| ring.push(&json!({"type": "x"})));
        assert_eq!(numbers(ring.since(0)), Some(vec![1, 2, 3]));
        assert_eq!(numbers(ring.since(2)), Some(vec![3]));
        assert_eq!(numbers(ring.since(3)), Some(vec![]));
        assert_eq!(numbers(ring.since(4)), None, "a number from another run");
        (0..CHANGES_KEPT).for_each(|_| ring.push(&json!({"type": "x"})));
        assert_eq!(numbers(ring.since(2)), None);
        assert_eq!(numbers(ring.since(3)).map(|all| all.len()), Some(CHANGES_KEPT));
    }

    #[test]
    fn after_a_break_nobody_goes_on_from_before_it() {
        let mut ring = Ring::default();
        ring.push(&json!({"type": "x"}));
        ring.break_off();
        assert_eq!(numbers(ring.since(1)), None);
        assert_eq!(numbers(ring.since(2)), Some(vec![]));
        ring.push(&json!({"type": "x"}));
        assert_eq!(numbers(ring.since(2)), Some(vec![3]));
    }
}
