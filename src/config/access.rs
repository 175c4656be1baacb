//! Settings of who may look and ask: the dashboard's own address, and the proxies that are believed. Checked here, so that
//! a half-given trust is an error and not a hole.

use anyhow::{Context, Result, bail};
use clap::Args;
use warp::http::HeaderName;

use crate::core::{
    access::{origin::Origin, range::AddressRange},
    site::Scheme,
};

/// Who may look and ask, as typed.
#[derive(Debug, Clone, Args)]
pub struct AccessArgs {
    /// The dashboard's address as browsers see it, like https://agentpod.example.com
    #[arg(long, env = "AGENTPOD_DASHBOARD_URL", value_name = "URL", global = true)]
    pub dashboard_url: Option<Origin>,
    /// A proxy that is believed: who is behind it, and with --forward-auth-header who they are; an address or a range,
    /// may be given several times
    #[arg(
        long = "trusted-proxy",
        env = "AGENTPOD_TRUSTED_PROXY",
        value_name = "CIDR",
        value_delimiter = ',',
        global = true
    )]
    pub trusted_proxies: Vec<AddressRange>,
    /// The header in which a trusted proxy says who signed in with it, like Remote-User
    #[arg(long, env = "AGENTPOD_FORWARD_AUTH_HEADER", value_name = "NAME", global = true)]
    pub forward_auth_header: Option<String>,
    /// The header in which it says what groups they are in
    #[arg(
        long,
        env = "AGENTPOD_FORWARD_AUTH_GROUPS_HEADER",
        default_value = "Remote-Groups",
        value_name = "NAME",
        global = true
    )]
    pub forward_auth_groups_header: String,
    /// A group whose people are operators; who has no account here and is in none of them is a viewer
    #[arg(
        long = "operator-group",
        env = "AGENTPOD_OPERATOR_GROUP",
        value_name = "GROUP",
        value_delimiter = ',',
        global = true
    )]
    pub operator_groups: Vec<String>,
}

/// Who may look and ask, as used.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// The dashboard's address as browsers see it, if it is not the one it listens on.
    pub url: Option<Origin>,
    /// The neighbours that are believed.
    pub trusted_proxies: Vec<AddressRange>,
    /// How they say who signed in with them, if they do.
    pub forward: Option<Forward>,
}

/// How a trusted proxy says who signed in with it.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The header with the name.
    pub user: HeaderName,
    /// The header with the groups, commas between them.
    pub groups: HeaderName,
    /// The groups whose people are operators.
    pub operator_groups: Vec<String>,
}

impl AccessSettings {
    /// Whether browsers speak TLS with the dashboard, as its address says.
    pub fn is_secure(&self) -> bool {
        self.url.as_ref().is_some_and(|url| url.scheme == Scheme::Https)
    }
}

impl AccessArgs {
    /// Checks what was typed.
    pub fn settle(self) -> Result<AccessSettings> {
        let header = |flag: &str, text: &str| {
            text.parse::<HeaderName>().with_context(|| format!("{flag} {text:?} is not the name of a header"))
        };
        let forward = match &self.forward_auth_header {
            None if !self.operator_groups.is_empty() => {
                bail!("--operator-group means nothing without --forward-auth-header: roles of accounts are their own")
            }
            None => None,
            Some(_) if self.trusted_proxies.is_empty() => bail!(
                "--forward-auth-header needs --trusted-proxy: the header is believed only from proxies that are named"
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
