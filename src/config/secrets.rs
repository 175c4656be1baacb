//! The settings of where pods' secrets may come from, as typed and checked.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use super::absolute;
use crate::core::secret::{DEFAULT_FOLDERS, DEFAULT_PREFIX, SecretRoots, TENANT};

/// Where secrets may come from, as typed.
#[derive(Debug, Clone, Args)]
pub(crate) struct SecretArgs {
    /// A folder that manifests may name secrets in; repeatable, or several separated by colons. In {tenant}/ each tenant has
    /// its own [default: /etc/agentpod/secrets and /run/secrets]
    #[arg(
        long = "secrets-dir",
        env = "AGENTPOD_SECRETS_DIR",
        value_name = "DIR",
        value_delimiter = ':',
        global = true
    )]
    pub(crate) secrets_dirs: Vec<PathBuf>,
    /// How the variables begin that manifests may name; repeatable, or several separated by colons
    #[arg(
        long = "secret-env-prefix",
        env = "AGENTPOD_SECRET_ENV_PREFIX",
        value_name = "PREFIX",
        value_delimiter = ':',
        default_value = DEFAULT_PREFIX,
        global = true
    )]
    pub(crate) secret_env_prefixes: Vec<String>,
}

impl SecretArgs {
    pub(crate) fn resolve(self) -> Result<SecretRoots> {
        let mut folders = Vec::new();
        for folder in self.secrets_dirs {
            let folder = absolute(folder)?;
            let Some(text) = folder.to_str() else { bail!("--secrets-dir {} is not valid text", folder.display()) };
            if text.split('/').any(|segment| segment != TENANT && segment.contains(TENANT)) {
                bail!(
                    "--secrets-dir {text:?}: {TENANT} must be a folder by itself, like /etc/agentpod/secrets/{TENANT}"
                );
            }
            folders.push(text.to_owned());
        }
        if folders.is_empty() {
            folders = DEFAULT_FOLDERS.map(str::to_owned).to_vec();
        }
        let is_prefix = |prefix: &String| {
            !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if let Some(bad) = self.secret_env_prefixes.iter().find(|prefix| !is_prefix(prefix)) {
            bail!(
                "--secret-env-prefix {bad:?} is not the beginning of a variable's name; use one like {DEFAULT_PREFIX}"
            );
        }
        Ok(SecretRoots { folders, variables: self.secret_env_prefixes })
    }
}
