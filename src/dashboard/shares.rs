//! Places that are shared out: a limited number in all, and for each one who takes them no more than a share, so that nobody
//! keeps everybody else out. It waits for nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The places. `K` is what has a share, like an account or an address.
#[derive(Debug)]
pub(super) struct Shares<K> {
    all: usize,
    each: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    all: usize,
    by: BTreeMap<K, usize>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place<K: Ord> {
    shares: Arc<Shares<K>>,
    keys: Vec<K>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// All places are taken.
    All,
    /// One of the keys has its share already.
    Share,
}

impl<K: Ord + Clone> Shares<K> {
    /// `all` places, of which each key gets at most `each`.
    pub(super) fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { all, each, taken: Mutex::new(Taken { all: 0, by: BTreeMap::new() }) })
    }

    /// Takes a place, which counts for all of these keys.
    pub(super) fn take(self: &Arc<Self>, keys: &[K]) -> Result<Place<K>, Full> {
        let mut taken = self.taken();
        if taken.all >= self.all {
            return Err(Full::All);
        }
        if keys.iter().any(|key| taken.by.get(key).is_some_and(|count| *count >= self.each)) {
            return Err(Full::Share);
        }
        taken.all += 1;
        for key in keys {
            *taken.by.entry(key.clone()).or_default() += 1;
        }
        drop(taken);
        Ok(Place { shares: self.clone(), keys: keys.to_vec() })
    }
}

impl<K> Shares<K> {
    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
        taken.all -= 1;
        for key in &self.keys {
            if let Some(count) = taken.by.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    taken.by.remove(key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_more_than_a_share_and_a_place_that_is_given_back_can_be_taken_again() {
        let shares = Shares::new(3, 2);
        let mine = [shares.take(&["alice", "10.0.0.1"]).unwrap(), shares.take(&["alice", "10.0.0.2"]).unwrap()];
        assert_eq!(shares.take(&["alice", "10.0.0.3"]).unwrap_err(), Full::Share);
        let other = shares.take(&["bob", "10.0.0.1"]).unwrap();
        assert_eq!(shares.take(&["carol", "10.0.0.9"]).unwrap_err(), Full::All);
        drop(other);
        assert_eq!(shares.take(&["bob", "alice"]).unwrap_err(), Full::Share);
        drop(mine);
        assert!(shares.take(&["alice", "10.0.0.1"]).is_ok());
        assert!(shares.taken().by.is_empty(), "nothing is kept of those who are gone");
    }
}
