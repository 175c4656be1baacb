//! Settings of access: the dashboard's public address, and trusted proxies. Incomplete settings are refused, so that they do
//! not become a security hole.

use anyhow::{Context, Result, bail};
use clap::Args;
use warp::http::HeaderName;

use crate::core::{
    access::{origin::Origin, range::AddressRange},
    site::Scheme,
};

/// Access, as typed.
#[derive(Debug, Clone, Args)]
pub(crate) struct AccessArgs {
    /// The dashboard's address as browsers see it, like https://agentpod.example.com [default: the one it listens on]
    #[arg(long, env = "AGENTPOD_DASHBOARD_URL", value_name = "URL", global = true)]
    pub(crate) dashboard_url: Option<Origin>,
    /// The address or range of a trusted proxy, which names the client and, with --forward-auth-header, the user;
    /// repeatable
    #[arg(
        long = "trusted-proxy",
        env = "AGENTPOD_TRUSTED_PROXY",
        value_name = "CIDR",
        value_delimiter = ',',
        global = true
    )]
    pub(crate) trusted_proxies: Vec<AddressRange>,
    /// The header in which a trusted proxy names the signed-in user, like Remote-User
    #[arg(long, env = "AGENTPOD_FORWARD_AUTH_HEADER", value_name = "NAME", global = true)]
    pub(crate) forward_auth_header: Option<String>,
    /// The header in which a trusted proxy lists the user's groups
    #[arg(
        long,
        env = "AGENTPOD_FORWARD_AUTH_GROUPS_HEADER",
        default_value = "Remote-Groups",
        value_name = "NAME",
        global = true
    )]
    pub(crate) forward_auth_groups_header: String,
    /// A group whose members are operators; other users without an account are viewers
    #[arg(
        long = "operator-group",
        env = "AGENTPOD_OPERATOR_GROUP",
        value_name = "GROUP",
        value_delimiter = ',',
        global = true
    )]
    pub(crate) operator_groups: Vec<String>,
}

/// Access, as used.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// The dashboard's address as browsers see it; `None` for the one it listens on.
    pub url: Option<Origin>,
    /// The proxies whose headers are trusted.
    pub trusted_proxies: Vec<AddressRange>,
    /// The headers that name the signed-in user, if proxies authenticate.
    pub forward: Option<Forward>,
}

/// The headers in which a trusted proxy names the signed-in user.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The header with the user's name.
    pub user: HeaderName,
    /// The header with the groups, separated by commas.
    pub groups: HeaderName,
    /// The groups whose members are operators.
    pub operator_groups: Vec<String>,
}

impl AccessSettings {
    /// Whether browsers reach the dashboard over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.url.as_ref().is_some_and(|url| url.scheme == Scheme::Https)
    }
}

impl AccessArgs {
    /// Checks the settings.
    pub(crate) fn resolve(self) -> Result<AccessSettings> {
        let header = |flag: &str, text: &str| {
            text.parse::<HeaderName>().with_context(|| format!("{flag} {text:?} is not a header name"))
        };
        let forward = match &self.forward_auth_header {
            None if !self.operator_groups.is_empty() => {
                bail!("--operator-group needs --forward-auth-header, since accounts have their own roles")
            }
            None => None,
            Some(_) if self.trusted_proxies.is_empty() => bail!(
                "--forward-auth-header needs --trusted-proxy, since the header is trusted only from named proxies"
            ),
            Some(user) => Some(Forward {
                user: header("--forward-auth-header", user)?,
                groups: header("--forward-auth-groups-header", &self.forward_auth_groups_header)?,
                operator_groups: self.operator_groups,
            }),
        };
        Ok(AccessSettings { url: self.dashboard_url, trusted_proxies: self.trusted_proxies, forward })
    }
}
