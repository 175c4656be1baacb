//! Open connections: a limited number in all and for each address, so that strangers who open many and say nothing take
//! neither the files that the engine and the database need nor everybody's way in. When there is no place left, the one that
//! has said nothing for longest makes room.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use tracing::warn;

/// The most connections, where the system would allow more.
const MOST: u64 = 4096;
/// How long after one warning others are not logged.
const QUIET: Duration = Duration::from_secs(60);

/// The open connections.
#[derive(Debug)]
pub(super) struct Connections {
    all: usize,
    each: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    by_age: BTreeMap<u64, Entry>,
    warned: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    peer: IpAddr,
    /// Whether a request has arrived on it.
    is_used: bool,
    end: CancellationToken,
}

/// One open connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    connections: Arc<Connections>,
    id: u64,
    /// Cancelled when it has to make room.
    pub(super) end: CancellationToken,
}

impl Connections {
    /// As many as leave most of this process's files to others.
    pub(super) fn within(files: u64) -> Arc<Self> {
        let all = (files / 4).min(MOST) as usize;
        Self::new(all, all / 2)
    }

    fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { all, each, open: Mutex::default() })
    }

    /// Lets a new connection in, or not.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Connection> {
        let mut open = self.open();
        let of_peer = open.by_age.values().filter(|entry| entry.peer == peer).count();
        let is_full = open.by_age.len() >= self.all;
        if of_peer >= self.each || is_full {
            open.warn(self.all, self.each);
            let may_go = |entry: &Entry| !entry.is_used && (entry.peer == peer || of_peer < self.each);
            let silent = open.by_age.iter().find(|(_, entry)| may_go(entry)).map(|(id, _)| *id)?;
            open.by_age.remove(&silent)?.end.cancel();
        }
        let (id, end) = (open.next, CancellationToken::new());
        open.next += 1;
        open.by_age.insert(id, Entry { peer, is_used: false, end: end.clone() });
        Some(Connection { connections: self.clone(), id, end })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn warn(&mut self, all: usize, each: usize) {
        if self.warned.is_none_or(|at| at.elapsed() > QUIET) {
            self.warned = Some(crate::clock::instant());
            warn!(
                "more connections than the {all} that are allowed ({each} for each address): those that say nothing are closed \
                 (not logged again for a minute)"
            );
        }
    }
}

impl Connection {
    /// A request has arrived: it does not make room for others any more.
    pub(super) fn mark_used(&self) {
        if let Some(entry) = self.connections.open().by_age.get_mut(&self.id) {
            entry.is_used = true;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.open().by_age.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn a_new_connection_takes_the_place_of_the_one_that_was_silent_for_longest() {
        let connections = Connections::new(3, 2);
        let (first, second) = (connections.admit(peer(1)).unwrap(), connections.admit(peer(1)).unwrap());
        first.mark_used();
        let third = connections.admit(peer(1)).unwrap();
        assert!(second.end.is_cancelled() && !first.end.is_cancelled());
        third.mark_used();
        assert!(connections.admit(peer(1)).is_none(), "both of its share are in use");
        // Others still get in, up to all of them.
        let _other = connections.admit(peer(2)).unwrap();
        let _fourth = connections.admit(peer(3)).unwrap();
        assert_eq!(connections.open().by_age.len(), 3);
        drop((first, third));
        assert!(connections.admit(peer(1)).is_some());
    }

    #[test]
    fn most_files_are_left_to_the_engine_and_the_database() {
        assert_eq!((Connections::within(1024).all, Connections::within(1024).each), (256, 128));
        assert_eq!(Connections::within(u64::MAX).all, 4096);
    }
}
