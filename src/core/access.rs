//! Who may see and ask for what. Pure: who somebody is, is found out at the edge; what that allows is said here, once,
//! for pages, API and command line alike.

pub mod origin;
pub mod range;
pub mod throttle;

use serde::{Deserialize, Serialize};

use super::names::TenantName;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Viewer,
    /// Look, and ask for restarts, pauses, syncs and approvals.
    Operator,
}

/// Checks the name of an account: what people type, and what events call them. Lower case, so that no two look alike
/// but for that.
pub fn check_account_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.' | '@' | '+');
    if !(1..=64).contains(&name.len())
        || !name.chars().all(allowed)
        || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        return Err(format!(
            "{name:?} is not a name for an account: 1 to 64 of a-z, 0-9 and - _ . @ +, the first a letter or digit"
        ));
    }
    Ok(())
}

/// Where to go after the sign-in, if that is a path of ours and leads nowhere else: browsers read `//host` and `/\\host`
/// as another site's address.
pub fn local_path(next: &str) -> Option<&str> {
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (next.starts_with('/') && !next.starts_with("//") && is_plain && next.len() <= 2048).then_some(next)
}

/// Somebody who was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Their name, as it stands in the events of what they ask for.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The one tenant they may see; `None` means all.
    pub tenant: Option<TenantName>,
}

impl Person {
    /// Whether they may see this tenant, and what belongs to it.
    pub fn sees(&self, tenant: &TenantName) -> bool {
        self.tenant.as_ref().is_none_or(|own| own == tenant)
    }

    /// Whether they may see what belongs to no tenant alone: the source, revisions, adapters, settings.
    pub fn sees_all(&self) -> bool {
        self.tenant.is_none()
    }

    /// Whether they may ask for something that concerns this tenant.
    pub fn may_ask(&self, tenant: &TenantName) -> bool {
        self.role == Role::Operator && self.sees(tenant)
    }

    /// Whether they may ask for something that concerns everybody: a sync, an approval.
    pub fn may_ask_for_all(&self) -> bool {
        self.role == Role::Operator && self.sees_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantName {
        name.parse().unwrap()
    }

    #[test]
    fn a_tenants_person_sees_that_tenant_only_and_nothing_that_is_everybodys() {
        let of_alice = Person { name: "a".into(), role: Role::Operator, tenant: Some(tenant("alice")) };
        assert!(of_alice.sees(&tenant("alice")) && of_alice.may_ask(&tenant("alice")));
        assert!(!of_alice.sees(&tenant("bob")) && !of_alice.may_ask(&tenant("bob")));
        assert!(!of_alice.sees_all() && !of_alice.may_ask_for_all());
    }

    #[test]
    fn the_name_of_an_account_is_plain() {
        for good in ["a", "alice", "alice.b+c@example.com", "0-_"] {
            assert_eq!(check_account_name(good), Ok(()));
        }
        for bad in ["", "Alice", "-a", "a b", "a\n", "ä", "<b>", &"a".repeat(65)] {
            assert!(check_account_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_way_after_the_sign_in_leads_nowhere_else() {
        for ours in ["/dashboard", "/dashboard/pods?sort=name&page=2", "/?next=//evil.example"] {
            assert_eq!(local_path(ours), Some(ours));
        }
        for other in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "/\r\nx: y", "a"]
        {
            assert_eq!(local_path(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_viewer_asks_for_nothing() {
        let viewer = Person { name: "v".into(), role: Role::Viewer, tenant: None };
        assert!(viewer.sees(&tenant("bob")) && viewer.sees_all());
        assert!(!viewer.may_ask(&tenant("bob")) && !viewer.may_ask_for_all());
        let operator = Person { role: Role::Operator, ..viewer };
        assert!(operator.may_ask(&tenant("bob")) && operator.may_ask_for_all());
    }
}
