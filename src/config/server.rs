//! Which AgentPod is asked over its API, and with which token. A token is not a setting that is typed: it comes from a
//! file or the environment, where no list of processes shows it.

use std::{env, path::PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use secrecy::SecretString;

use crate::{
    core::{
        access::origin::{Origin, is_local},
        site::Scheme,
    },
    private_file,
};

/// The variable with the token itself.
const TOKEN: &str = "AGENTPOD_TOKEN";
/// What these settings are called together.
const HEADING: &str = "Another AgentPod";
/// The most bytes of a token's file.
const LONGEST: usize = 4096;

/// The server to ask, as typed.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// Ask the AgentPod at this address over its API, in place of the database and engine of this machine
    #[arg(long, env = "AGENTPOD_SERVER", value_name = "URL", help_heading = HEADING, global = true)]
    pub server: Option<String>,
    /// The file with an API token for it, as agentpod account token makes one; or give it as AGENTPOD_TOKEN
    #[arg(long, env = "AGENTPOD_TOKEN_FILE", value_name = "FILE", help_heading = HEADING, global = true)]
    pub token_file: Option<PathBuf>,
}

/// The server to ask, as used.
#[derive(Debug, Clone)]
pub struct ServerAddress {
    /// Its address.
    pub origin: Origin,
    /// Who asks it; `None`: nobody in particular, which is enough on loopback as long as there are no accounts.
    pub token: Option<SecretString>,
}

impl ServerArgs {
    /// Checks and completes what was typed; `None` when no server is named. Nothing is sent.
    pub fn settle(&self) -> Result<Option<ServerAddress>> {
        self.settle_with(env::var(TOKEN).ok())
    }

    fn settle_with(&self, variable: Option<String>) -> Result<Option<ServerAddress>> {
        let Some(text) = self.server.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let origin: Origin = text.parse().map_err(|why| anyhow!("--server: {why}"))?;
        let variable = variable.filter(|token| !token.trim().is_empty());
        let token = match (&self.token_file, variable) {
            (Some(_), Some(_)) => bail!("both --token-file and {TOKEN} are given; give one"),
            (Some(file), None) => {
                let text = private_file::read(file, LONGEST)
                    .map_err(|why| anyhow!("--token-file {}: {why}", file.display()))?;
                if text.trim().is_empty() {
                    bail!("--token-file {}: it is empty", file.display());
                }
                Some(SecretString::from(text.trim()))
            }
            (None, Some(token)) => Some(SecretString::from(token.trim())),
            (None, None) => None,
        };
        if token.is_some() && !keeps_secrets(&origin) {
            bail!(
                "--server {origin} is not encrypted, so everybody on the way could read the token; nothing was sent. Use \
                 https://{}, or http:// on the same machine only",
                origin.authority
            );
        }
        Ok(Some(ServerAddress { origin, token }))
    }
}

/// Whether nobody on the way can read what is sent there. A name below `localhost` is not enough: not every resolver
/// keeps those on this machine.
fn keeps_secrets(origin: &Origin) -> bool {
    let host = origin.host();
    origin.scheme == Scheme::Https || (is_local(host) && !host.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(server: &str, token: Option<&str>) -> Result<Option<ServerAddress>> {
        let arguments = ServerArgs { server: Some(server.into()), token_file: None };
        arguments.settle_with(token.map(Into::into))
    }

    #[test]
    fn a_token_goes_over_tls_or_stays_on_this_machine() {
        for good in ["https://pods.example.com", "http://127.0.0.1:7070", "http://[::1]:7070", "http://localhost:7070/"]
        {
            assert!(settled(good, Some("agp_x")).unwrap().unwrap().token.is_some(), "{good}");
        }
        for bad in
            ["http://pods.example.com", "http://10.0.0.1:7070", "http://localhost.evil.example", "http://a.localhost"]
        {
            let error = settled(bad, Some("agp_secret")).unwrap_err().to_string();
            assert!(error.contains("not encrypted") && !error.contains("agp_secret"), "{error}");
            assert!(settled(bad, None).is_ok(), "without a token there is nothing to read");
        }
    }

    #[test]
    fn no_server_is_this_machine_and_half_a_server_an_error() {
        assert!(settled("", Some("agp_x")).unwrap().is_none());
        assert!(settled("https://pods.example.com", Some(" \n")).unwrap().unwrap().token.is_none());
        assert!(settled("pods.example.com", None).is_err());
        let both = ServerArgs { server: Some("https://a.example".into()), token_file: Some("/nowhere".into()) };
        assert!(both.settle_with(Some("agp_x".into())).unwrap_err().to_string().contains("give one"));
        assert!(both.settle_with(None).unwrap_err().to_string().contains("there is no such file"));
    }
}
