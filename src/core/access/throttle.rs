//! Limits how often an account and an address may try to sign in. Tries are counted before the password is verified, so that
//! concurrent ones count too, and expire by themselves. The time is an argument.

use std::{collections::HashMap, net::IpAddr};

use time::{Duration, OffsetDateTime};

/// How long failures count, from the first one on.
const WINDOW: Duration = Duration::minutes(10);
/// How many tries an account has in that time, from all addresses together.
const MAX_PER_ACCOUNT: u32 = 10;
/// How many tries an address has in that time, for all accounts together.
const MAX_PER_ADDRESS: u32 = 30;
/// How many accounts and addresses are tracked; more than this are made up.
const MAX_TRACKED: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum ThrottleKey {
    Account(String),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    count: u32,
    since: OffsetDateTime,
}

/// The recent tries.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    tries: HashMap<ThrottleKey, Tries>,
}

impl Throttle {
    /// Counts one more try, or returns how long to wait before the next.
    pub(crate) fn attempt(&mut self, account: &str, address: IpAddr, now: OffsetDateTime) -> Result<(), Duration> {
        let keys = [
            (ThrottleKey::Account(account.into()), MAX_PER_ACCOUNT),
            (ThrottleKey::Address(network(address)), MAX_PER_ADDRESS),
        ];
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

    /// Clears an account's failures after a successful sign-in, and takes back the address's try.
    pub(crate) fn succeeded(&mut self, account: &str, address: IpAddr) {
        self.tries.remove(&ThrottleKey::Account(account.into()));
        self.decrement(&ThrottleKey::Address(network(address)));
    }

    /// Takes a try back whose password was not verified.
    pub(crate) fn take_back(&mut self, account: &str, address: IpAddr) {
        self.decrement(&ThrottleKey::Account(account.into()));
        self.decrement(&ThrottleKey::Address(network(address)));
    }

    fn decrement(&mut self, key: &ThrottleKey) {
        if let Some(tries) = self.tries.get_mut(key) {
            tries.count = tries.count.saturating_sub(1);
        }
    }

    fn make_room(&mut self, key: &ThrottleKey, now: OffsetDateTime) {
        if self.tries.len() < MAX_TRACKED || self.tries.contains_key(key) {
            return;
        }
        self.tries.retain(|_, tries| now < tries.since + WINDOW);
        if self.tries.len() >= MAX_TRACKED {
            // Drops the tenth with the fewest tries, since sorting for each single one is slow.
            let mut by_count: Vec<_> =
                self.tries.iter().map(|(key, tries)| (tries.count, tries.since, key.clone())).collect();
            by_count.sort_by_key(|(count, since, _)| (*count, *since));
            for (_, _, key) in by_count.into_iter().take(MAX_TRACKED / 10) {
                self.tries.remove(&key);
            }
        }
    }
}

/// The /64 network of an IPv6 address, since a customer has a whole one.
pub(crate) fn network(address: IpAddr) -> IpAddr {
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
    fn an_account_has_ten_tries_in_ten_minutes_from_all_addresses() {
        let mut throttle = Throttle::default();
        for number in 0..10 {
            assert_eq!(throttle.attempt("alice", address(number), at(number.into())), Ok(()));
        }
        assert_eq!(throttle.attempt("alice", address(99), at(30)), Err(Duration::seconds(570)));
        assert_eq!(throttle.attempt("bob", address(99), at(30)), Ok(()), "another account is not affected");
        assert_eq!(throttle.attempt("alice", address(99), at(600)), Ok(()), "it expires");
    }

    #[test]
    fn an_address_has_thirty_tries_for_all_accounts_and_an_ipv6_network_is_one_address() {
        let mut throttle = Throttle::default();
        for number in 0..30 {
            let address = format!("2001:db8::{number:x}").parse().unwrap();
            assert_eq!(throttle.attempt(&format!("a{number}"), address, at(0)), Ok(()));
        }
        assert!(throttle.attempt("fresh", "2001:db8::ffff".parse().unwrap(), at(1)).is_err());
        assert!(throttle.attempt("fresh", "2001:db8:0:1::1".parse().unwrap(), at(1)).is_ok());
    }

    #[test]
    fn a_successful_sign_in_resets_the_account_and_does_not_use_up_the_address() {
        let mut throttle = Throttle::default();
        for _ in 0..100 {
            assert_eq!(throttle.attempt("alice", address(1), at(0)), Ok(()));
            throttle.succeeded("alice", address(1));
        }
    }

    #[test]
    fn made_up_names_neither_fill_the_memory_nor_evict_a_throttled_account() {
        let mut throttle = Throttle::default();
        while throttle.attempt("alice", address(1), at(0)).is_ok() {}
        for number in 0..2 * MAX_TRACKED as u32 {
            let _ = throttle.attempt(&format!("x{number}"), IpAddr::V4(number.into()), at(1));
        }
        assert!(throttle.tries.len() <= MAX_TRACKED + 1, "{}", throttle.tries.len());
        assert!(throttle.attempt("alice", address(2), at(2)).is_err());
    }
}
