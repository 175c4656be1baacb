//! Roles: what a person may see and request, for pages, API and command line alike. The edge authenticates; this only
//! authorizes.

pub(crate) mod origin;
pub(crate) mod range;
pub(crate) mod throttle;

use serde::{Deserialize, Serialize};

use super::names::TenantName;

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May view.
    Viewer,
    /// May view, and request restarts, pauses, syncs and approvals.
    Operator,
}

/// A text is not a name for an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an account name: use 1 to 64 of a-z, 0-9 and - _ . @ +, starting with a letter or digit")]
pub(crate) struct InvalidAccountName(String);

/// Checks the name of an account. Names are lower case, so that no two differ only in case.
pub(crate) fn validate_account_name(name: &str) -> Result<(), InvalidAccountName> {
    let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.' | '@' | '+');
    if !(1..=64).contains(&name.len())
        || !name.chars().all(allowed)
        || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        return Err(InvalidAccountName(name.to_owned()));
    }
    Ok(())
}

/// The path to redirect to after the sign-in, if it stays on this site: browsers read `//host` and `/\\host` as another
/// site's address.
pub(crate) fn local_path(next: &str) -> Option<&str> {
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (next.starts_with('/') && !next.starts_with("//") && is_plain && next.len() <= 2048).then_some(next)
}

/// An authenticated person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The name that events show.
    pub name: String,
    /// The account's role.
    pub role: Role,
    /// The only tenant they may see; `None` means all.
    pub tenant: Option<TenantName>,
}

impl Person {
    /// Whether they may see a tenant and everything that belongs to it.
    pub(crate) fn sees(&self, tenant: &TenantName) -> bool {
        self.tenant.as_ref().is_none_or(|own| own == tenant)
    }

    /// Whether they may see what no tenant owns: the source, revisions, adapters, settings.
    pub(crate) fn sees_all(&self) -> bool {
        self.tenant.is_none()
    }

    /// Whether they may make requests about a tenant.
    pub fn may_request(&self, tenant: &TenantName) -> bool {
        self.role == Role::Operator && self.sees(tenant)
    }

    /// Whether they may make requests about the whole fleet: a sync, an approval.
    pub(crate) fn may_request_for_all(&self) -> bool {
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
    fn an_account_of_one_tenant_sees_only_that_tenant() {
        let of_alice = Person { name: "a".into(), role: Role::Operator, tenant: Some(tenant("alice")) };
        assert!(of_alice.sees(&tenant("alice")) && of_alice.may_request(&tenant("alice")));
        assert!(!of_alice.sees(&tenant("bob")) && !of_alice.may_request(&tenant("bob")));
        assert!(!of_alice.sees_all() && !of_alice.may_request_for_all());
    }

    #[test]
    fn account_names_are_restricted_to_plain_characters() {
        for good in ["a", "alice", "alice.b+c@example.com", "0-_"] {
            assert_eq!(validate_account_name(good), Ok(()));
        }
        for bad in ["", "Alice", "-a", "a b", "a\n", "ä", "<b>", &"a".repeat(65)] {
            assert!(validate_account_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_redirect_after_the_sign_in_stays_on_this_site() {
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
    fn a_viewer_may_request_nothing() {
        let viewer = Person { name: "v".into(), role: Role::Viewer, tenant: None };
        assert!(viewer.sees(&tenant("bob")) && viewer.sees_all());
        assert!(!viewer.may_request(&tenant("bob")) && !viewer.may_request_for_all());
        let operator = Person { role: Role::Operator, ..viewer };
        assert!(operator.may_request(&tenant("bob")) && operator.may_request_for_all());
    }
}
