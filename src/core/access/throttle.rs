//! How often somebody may try to sign in. Pure: the time is an argument. It counts a try before the password is looked
//! at, so that many at a time are many, and forgets by itself.

use std::{collections::HashMap, net::IpAddr};

use time::{Duration, OffsetDateTime};

/// How long failures are remembered, from the first on.
const WINDOW: Duration = Duration::minutes(10);
/// How many tries an account name has in that time, wherever they come from.
const FOR_ACCOUNT: u32 = 10;
/// How many tries an address has in that time, whomever they are for.
const FOR_ADDRESS: u32 = 30;
/// How many names and addresses are remembered; more are only there when somebody makes them up.
const MOST: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Account(String),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    count: u32,
    since: OffsetDateTime,
}

/// Counts tries.
#[derive(Debug, Default)]
pub struct Throttle {
    tries: HashMap<Key, Tries>,
}

impl Throttle {
    /// Counts one more try, or says how long to wait before the next.
    pub fn attempt(&mut self, account: &str, address: IpAddr, now: OffsetDateTime) -> Result<(), Duration> {
        let keys = [(Key::Account(account.into()), FOR_ACCOUNT), (Key::Address(network(address)), FOR_ADDRESS)];
        let waits = keys.iter().filter_map(|(key, most)| {
            let tries = self.tries.get(key).filter(|tries| now < tries.since + WINDOW)?;
            (tries.count >= *most).then_some(tries.since + WINDOW - now)
        });
        if let Some(wait) = waits.max() {
            return Err(wait);
        }
        for (key, _) in keys {
            self.make_room(&key, now);
            let tries = self.tries.entry(key).or_insert(Tries { count: 0, since: now });
            if now >= tries.since + WINDOW {
                *tries = Tries { count: 0, since: now };
            }
            tries.count += 1;
        }
        Ok(())
    }

    /// Forgets an account's failures, and the try that was none.
    pub fn succeeded(&mut self, account: &str, address: IpAddr) {
        self.tries.remove(&Key::Account(account.into()));
        self.was_none(&Key::Address(network(address)));
    }

    /// Takes a try back: the password was not even looked at.
    pub fn did_not_count(&mut self, account: &str, address: IpAddr) {
        self.was_none(&Key::Account(account.into()));
        self.was_none(&Key::Address(network(address)));
    }

    fn was_none(&mut self, key: &Key) {
        if let Some(tries) = self.tries.get_mut(key) {
            tries.count = tries.count.saturating_sub(1);
        }
    }

    fn make_room(&mut self, key: &Key, now: OffsetDateTime) {
        if self.tries.len() < MOST || self.tries.contains_key(key) {
            return;
        }
        self.tries.retain(|_, tries| now < tries.since + WINDOW);
        if self.tries.len() >= MOST {
            // Those with the fewest tries tell least. A tenth at a time: looking through all of them for each is slow.
            let mut by_weight: Vec<_> =
                self.tries.iter().map(|(key, tries)| (tries.count, tries.since, key.clone())).collect();
            by_weight.sort_by_key(|(count, since, _)| (*count, *since));
            for (_, _, key) in by_weight.into_iter().take(MOST / 10) {
                self.tries.remove(&key);
            }
        }
    }
}

/// An IPv6 customer has a whole network of addresses: they count as one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds)
    }

    fn address(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    #[test]
    fn an_account_has_ten_tries_in_ten_minutes_wherever_they_come_from() {
        let mut throttle = Throttle::default();
        for number in 0..10 {
            assert_eq!(throttle.attempt("alice", address(number), at(number.into())), Ok(()));
        }
        assert_eq!(throttle.attempt("alice", address(99), at(30)), Err(Duration::seconds(570)));
        assert_eq!(throttle.attempt("bob", address(99), at(30)), Ok(()), "another account is not hindered");
        assert_eq!(throttle.attempt("alice", address(99), at(600)), Ok(()), "it is forgotten by itself");
    }

    #[test]
    fn an_address_has_thirty_tries_whomever_they_are_for_and_a_network_is_one_address() {
        let mut throttle = Throttle::default();
        for number in 0..30 {
            let address = format!("2001:db8::{number:x}").parse().unwrap();
            assert_eq!(throttle.attempt(&format!("a{number}"), address, at(0)), Ok(()));
        }
        assert!(throttle.attempt("fresh", "2001:db8::ffff".parse().unwrap(), at(1)).is_err());
        assert!(throttle.attempt("fresh", "2001:db8:0:1::1".parse().unwrap(), at(1)).is_ok());
    }

    #[test]
    fn whoever_signs_in_begins_anew_and_does_not_use_up_the_address() {
        let mut throttle = Throttle::default();
        for _ in 0..100 {
            assert_eq!(throttle.attempt("alice", address(1), at(0)), Ok(()));
            throttle.succeeded("alice", address(1));
        }
    }

    #[test]
    fn made_up_names_neither_fill_the_memory_nor_drive_out_what_is_watched() {
        let mut throttle = Throttle::default();
        while throttle.attempt("alice", address(1), at(0)).is_ok() {}
        for number in 0..2 * MOST as u32 {
            let _ = throttle.attempt(&format!("x{number}"), IpAddr::V4(number.into()), at(1));
        }
        assert!(throttle.tries.len() <= MOST + 1, "{}", throttle.tries.len());
        assert!(throttle.attempt("alice", address(2), at(2)).is_err());
    }
}
