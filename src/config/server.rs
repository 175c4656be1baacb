//! The AgentPod to use over its API, and the token for it. The token comes from a file or the environment, since arguments
//! show up in the list of processes.

use std::{env, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use secrecy::SecretString;

use crate::{
    core::{
        access::origin::{Origin, is_local},
        site::Scheme,
    },
    private_file,
};

/// The environment variable of the token.
const TOKEN: &str = "AGENTPOD_TOKEN";
/// The heading of these settings in the help.
const HEADING: &str = "Remote AgentPod";
/// The most bytes of a token file.
const MAX_TOKEN_BYTES: usize = 4096;

/// The server, as typed.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArgs {
    /// Use the API of the AgentPod at this address, instead of this machine's database and engine
    #[arg(long, env = "AGENTPOD_SERVER", value_name = "URL", help_heading = HEADING, global = true)]
    pub(crate) server: Option<String>,
    /// A file with an API token from agentpod account token; or set AGENTPOD_TOKEN
    #[arg(long, env = "AGENTPOD_TOKEN_FILE", value_name = "FILE", help_heading = HEADING, global = true)]
    pub(crate) token_file: Option<PathBuf>,
}

/// The server, as used.
#[derive(Debug, Clone)]
pub(crate) struct ServerAddress {
    /// The server's address.
    pub(crate) origin: Origin,
    /// The API token; `None` works only on loopback and without accounts.
    pub(crate) token: Option<SecretString>,
}

impl ServerArgs {
    /// Checks the settings; `None` if no server is set. This sends nothing.
    pub(crate) fn resolve(&self) -> Result<Option<ServerAddress>> {
        self.resolve_with(env::var(TOKEN).ok())
    }

    fn resolve_with(&self, variable: Option<String>) -> Result<Option<ServerAddress>> {
        let Some(text) = self.server.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let origin: Origin = text.parse().context("--server")?;
        let variable = variable.filter(|token| !token.trim().is_empty());
        let token = match (&self.token_file, variable) {
            (Some(_), Some(_)) => bail!("both --token-file and {TOKEN} are set; set only one"),
            (Some(file), None) => {
                let text = private_file::read(file, MAX_TOKEN_BYTES)
                    .with_context(|| format!("--token-file {}", file.display()))?;
                if text.trim().is_empty() {
                    bail!("--token-file {}: the file is empty", file.display());
                }
                Some(SecretString::from(text.trim()))
            }
            (None, Some(token)) => Some(SecretString::from(token.trim())),
            (None, None) => None,
        };
        if token.is_some() && !is_confidential(&origin) {
            bail!(
                "--server {origin} is not encrypted, so others could read the token; nothing was sent. Use https://{}, or http:// \
                 only on the same machine",
                origin.authority
            );
        }
        Ok(Some(ServerAddress { origin, token }))
    }
}

/// Whether nobody in between can read what is sent there. Names below `localhost` do not count, since not every resolver
/// keeps them on this machine.
fn is_confidential(origin: &Origin) -> bool {
    let host = origin.host();
    origin.scheme == Scheme::Https || (is_local(host) && !host.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(server: &str, token: Option<&str>) -> Result<Option<ServerAddress>> {
        let arguments = ServerArgs { server: Some(server.into()), token_file: None };
        arguments.resolve_with(token.map(Into::into))
    }

    #[test]
    fn a_token_goes_over_tls_or_stays_on_this_machine() {
        for good in ["https://pods.example.com", "http://127.0.0.1:7070", "http://[::1]:7070", "http://localhost:7070/"]
        {
            assert!(resolved(good, Some("agp_x")).unwrap().unwrap().token.is_some(), "{good}");
        }
        for bad in
            ["http://pods.example.com", "http://10.0.0.1:7070", "http://localhost.evil.example", "http://a.localhost"]
        {
            let error = resolved(bad, Some("agp_secret")).unwrap_err().to_string();
            assert!(error.contains("not encrypted") && !error.contains("agp_secret"), "{error}");
            assert!(resolved(bad, None).is_ok(), "without a token there is nothing to leak");
        }
    }

    #[test]
    fn no_server_means_this_machine_and_an_incomplete_one_is_an_error() {
        assert!(resolved("", Some("agp_x")).unwrap().is_none());
        assert!(resolved("https://pods.example.com", Some(" \n")).unwrap().unwrap().token.is_none());
        assert!(resolved("pods.example.com", None).is_err());
        let both = ServerArgs { server: Some("https://a.example".into()), token_file: Some("/nowhere".into()) };
        assert!(both.resolve_with(Some("agp_x".into())).unwrap_err().to_string().contains("set only one"));
        let error = format!("{:#}", both.resolve_with(None).unwrap_err());
        assert!(error.contains("there is no such file"), "{error}");
    }
}
