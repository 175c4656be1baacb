//! Where references to secrets may lead: folders and names of variables that the operator has set aside for tenants. Without
//! them, whoever may write a manifest could have AgentPod hand its own keys, or any file that it can read, to a container.

use super::SecretRef;
use crate::core::{names::TenantName, printable};

/// A segment of a folder that stands for the name of the pod's tenant.
pub(crate) const TENANT: &str = "{tenant}";
/// AgentPod's own variables begin like this, and those for tenants like the second.
const OWN_PREFIX: &str = "AGENTPOD_";
/// The prefix of variables for tenants, unless the settings name others.
pub(crate) const DEFAULT_PREFIX: &str = "AGENTPOD_SECRET_";
/// The folders for tenants' secrets, unless the settings name others.
pub(crate) const DEFAULT_FOLDERS: [&str; 2] = ["/etc/agentpod/secrets", "/run/secrets"];
/// Variables with credentials of our own.
const OWN_VARIABLES: [&str; 2] = ["DATABASE_URL", "PGPASSWORD"];
/// Folders of the system in which nothing is a secret's file.
const SYSTEM: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The folders and the names of variables that references may lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRoots {
    /// Absolute folders; a segment `{tenant}` stands for the pod's tenant.
    pub folders: Vec<String>,
    /// Prefixes of variables.
    pub variables: Vec<String>,
}

/// Why a reference is refused, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusedReference {
    pub(crate) what: String,
    pub(crate) hint: String,
}

impl SecretRoots {
    /// Anything but AgentPod's own variables and the system's folders, for tests.
    pub fn anywhere() -> Self {
        Self { folders: vec!["/".into()], variables: vec![String::new()] }
    }

    /// Why a tenant's pod may not refer to this, if it may not.
    pub(crate) fn refusal(&self, reference: &SecretRef, tenant: &TenantName) -> Option<RefusedReference> {
        let refuse = |what: String, hint: String| Some(RefusedReference { what, hint });
        if let Some(name) = &reference.env {
            let prefixes = self.variables.join(", ");
            return match self.allows_variable(name) {
                true => None,
                false if is_own_variable(name) => refuse(
                    format!("the variable {name} belongs to AgentPod itself"),
                    format!("use a variable that begins with {prefixes}"),
                ),
                false => refuse(
                    format!("the variable {name} is not one for secrets of pods"),
                    format!("use one that begins with {prefixes}, or allow others with --secret-env-prefix"),
                ),
            };
        }
        let path = reference.file.as_ref()?;
        if self.folder_of(path, Some(tenant)).is_some() {
            return None;
        }
        let folders = self.folders.iter().map(|folder| folder.replace(TENANT, tenant.as_str())).collect::<Vec<_>>();
        refuse(
            format!("the file {} is outside the folders for secrets of {tenant}", printable::line(path, 80)),
            format!("move it below {}, or name other folders with --secrets-dir", folders.join(" or ")),
        )
    }

    /// Whether a variable may be referred to.
    pub(crate) fn allows_variable(&self, name: &str) -> bool {
        !is_own_variable(name) && self.variables.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }

    /// The folder for secrets that a path stands in, as far as the path itself says; without a tenant, any tenant's.
    pub(crate) fn folder_of(&self, path: &str, tenant: Option<&TenantName>) -> Option<String> {
        let is_system =
            |folder: &&str| path.strip_prefix(*folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let is_plain = segments.iter().all(|segment| !matches!(*segment, "" | "." | ".."));
        if !is_plain || SYSTEM.iter().any(is_system) {
            return None;
        }
        self.folders.iter().find_map(|folder| {
            let root: Vec<&str> = folder.split('/').filter(|segment| !segment.is_empty()).collect();
            let fits = |(root, segment): (&&str, &&str)| match *root {
                TENANT => tenant.is_none_or(|tenant| tenant.as_str() == *segment),
                root => root == *segment,
            };
            let is_inside = segments.len() > root.len() && root.iter().zip(&segments).all(fits);
            is_inside.then(|| format!("/{}", segments.get(..root.len()).unwrap_or_default().join("/")))
        })
    }
}

fn is_own_variable(name: &str) -> bool {
    OWN_VARIABLES.contains(&name) || (name.starts_with(OWN_PREFIX) && !name.starts_with(DEFAULT_PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> SecretRef {
        SecretRef { file: Some(path.into()), ..SecretRef::default() }
    }

    fn env(name: &str) -> SecretRef {
        SecretRef { env: Some(name.into()), ..SecretRef::default() }
    }

    #[test]
    fn a_reference_leads_only_below_the_folders_for_secrets_and_only_to_the_tenants_own() {
        let folders = vec!["/etc/agentpod/secrets/{tenant}".into(), "/srv/shared".into()];
        let roots = SecretRoots { folders, variables: vec![DEFAULT_PREFIX.into()] };
        let alice: TenantName = "alice".parse().unwrap();
        for good in ["/etc/agentpod/secrets/alice/key", "/etc/agentpod/secrets/alice/a/b", "/srv/shared/key"] {
            assert_eq!(roots.refusal(&file(good), &alice), None, "{good}");
        }
        for bad in [
            "/etc/agentpod/secrets/bob/key",
            "/etc/agentpod/secrets/alice",
            "/etc/agentpod/secrets/alice/../bob/key",
            "/etc/agentpod/secrets/alice/./key",
            "/etc/agentpod/secrets//alice/key",
            "/srv/shared",
            "/srv/sharedkey",
            "/etc/shadow",
            "/proc/self/environ",
            "/var/lib/agentpod/instance.key",
        ] {
            assert!(roots.refusal(&file(bad), &alice).is_some(), "{bad}");
        }
        assert!(SecretRoots::anywhere().refusal(&file("/proc/self/environ"), &alice).is_some());
    }

    #[test]
    fn our_own_variables_are_never_referred_to() {
        let alice: TenantName = "alice".parse().unwrap();
        let roots = SecretRoots { folders: Vec::new(), variables: vec![DEFAULT_PREFIX.into(), "TEAM_".into()] };
        for (name, is_allowed) in
            [("AGENTPOD_SECRET_KEY", true), ("TEAM_KEY", true), ("HOME", false), ("AGENTPOD_GIT_TOKEN", false)]
        {
            assert_eq!(roots.refusal(&env(name), &alice).is_none(), is_allowed, "{name}");
        }
        for own in ["AGENTPOD_GIT_TOKEN", "DATABASE_URL", "AGENTPOD_HOOK_SECRET", "PGPASSWORD"] {
            assert!(SecretRoots::anywhere().refusal(&env(own), &alice).is_some(), "{own}");
        }
    }
}
