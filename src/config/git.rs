//! The settings of the git source, as typed and checked. They reference credentials and never contain them.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use super::absolute;
use crate::{
    core::{quantity::Span, secret::SecretRef},
    source::git::{Address, Credentials, GitSettings, Reference, Transport},
};

/// How long a fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);
/// The shortest fetch interval, in milliseconds, to spare the remote.
const MIN_INTERVAL: u64 = 1_000;

/// The heading of these settings in the help.
const HEADING: &str = "Manifests from git";

const TOKEN: &str = "AGENTPOD_GIT_TOKEN";
const PASSWORD: &str = "AGENTPOD_GIT_PASSWORD";
const PASSPHRASE: &str = "AGENTPOD_GIT_SSH_PASSPHRASE";

/// The git source, as typed.
#[derive(Debug, Clone, Args)]
pub(crate) struct GitArgs {
    /// The git repository of manifests, instead of --source: an https, ssh or file address without credentials
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT", value_name = "URL", hide_env_values = true, global = true)]
    pub(crate) git: Option<String>,
    /// The branch to follow [default: the remote's default branch]
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_BRANCH", value_name = "NAME", global = true)]
    pub(crate) git_branch: Option<String>,
    /// The tag to follow
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_TAG", value_name = "NAME", global = true)]
    pub(crate) git_tag: Option<String>,
    /// The folder of manifests in the repository [default: the whole repository]
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_PATH", value_name = "FOLDER", global = true)]
    pub(crate) git_path: Option<String>,
    /// How often to fetch
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_INTERVAL", default_value = "60s", value_name = "TIME", global = true)]
    pub(crate) git_interval: Span,
    /// A file with a token for https; or set AGENTPOD_GIT_TOKEN
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_TOKEN_FILE", value_name = "FILE", global = true)]
    pub(crate) git_token_file: Option<PathBuf>,
    /// The user name for https
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_USER", value_name = "NAME", global = true)]
    pub(crate) git_user: Option<String>,
    /// A file with the user's password; or set AGENTPOD_GIT_PASSWORD
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_PASSWORD_FILE", value_name = "FILE", global = true)]
    pub(crate) git_password_file: Option<PathBuf>,
    /// The file of the private key for ssh
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_SSH_KEY", value_name = "FILE", global = true)]
    pub(crate) git_ssh_key: Option<PathBuf>,
    /// A file with the key's passphrase; or set AGENTPOD_GIT_SSH_PASSPHRASE
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_SSH_PASSPHRASE_FILE", value_name = "FILE", global = true)]
    pub(crate) git_ssh_passphrase_file: Option<PathBuf>,
    /// The known-hosts file [default: ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts]
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_KNOWN_HOSTS", value_name = "FILE", global = true)]
    pub(crate) git_known_hosts: Option<PathBuf>,
    /// The file of allowed signers; commits without a signature by one of them are refused
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_VERIFY", value_name = "FILE", global = true)]
    pub(crate) git_verify: Option<PathBuf>,
}

impl GitArgs {
    /// Checks and completes the settings; `None` if the manifests are in a folder.
    pub(crate) fn resolve(self, state_dir: &std::path::Path) -> Result<Option<GitSettings>> {
        self.resolve_with(state_dir, |name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    }

    fn resolve_with(self, state_dir: &std::path::Path, is_set: impl Fn(&str) -> bool) -> Result<Option<GitSettings>> {
        let Some(text) = self.git.as_deref().filter(|text| !text.is_empty()) else {
            let named = [&self.git_branch, &self.git_tag, &self.git_path].into_iter().flatten().next();
            if named.is_some() || self.git_verify.is_some() {
                bail!("--git-branch, --git-tag, --git-path and --git-verify need --git");
            }
            return Ok(None);
        };
        let address = Address::parse(text).context("--git")?;
        let reference = match (self.git_branch, self.git_tag) {
            (Some(_), Some(_)) => bail!("both --git-branch and --git-tag are set; set only one"),
            (Some(branch), None) => Reference::Branch(branch),
            (None, Some(tag)) => Reference::Tag(tag),
            (None, None) => Reference::Head,
        };
        if !git2::Reference::is_valid_name(&format!("refs/heads/{}", reference.name().unwrap_or("head"))) {
            bail!("{:?} is not a valid branch or tag name", reference.name().unwrap_or_default());
        }
        if self.git_interval.0 < MIN_INTERVAL {
            bail!("--git-interval must be at least 1s, to spare the remote");
        }
        let reference_of = |file: Option<PathBuf>, flag: &str, variable: &str| match file {
            Some(_) if is_set(variable) => bail!("both {flag} and {variable} are set; set only one"),
            Some(file) => Ok(Some(file_at(file)?)),
            None => Ok(is_set(variable).then(|| SecretRef { env: Some(variable.into()), ..SecretRef::default() })),
        };
        let token = reference_of(self.git_token_file, "--git-token-file", TOKEN)?;
        let password = reference_of(self.git_password_file, "--git-password-file", PASSWORD)?;
        if token.is_some() && password.is_some() {
            bail!("both a token and a password are set for --git; set only one");
        }
        if password.is_some() && self.git_user.is_none() {
            bail!("a password for --git needs --git-user");
        }
        if self.git_user.as_ref().is_some_and(|user| user.contains(':') || user.chars().any(char::is_control)) {
            bail!("--git-user must not contain colons or control characters");
        }
        let password = token.or(password);
        let key = self.git_ssh_key.map(file_at).transpose()?;
        match address.transport {
            Transport::Ssh if key.is_none() => bail!("{address} uses SSH; set --git-ssh-key"),
            Transport::Ssh | Transport::File if password.is_some() => {
                bail!("a token or password is set, but {address} does not use https")
            }
            Transport::Https | Transport::Http | Transport::File if key.is_some() => {
                bail!("--git-ssh-key is set, but {address} does not use SSH")
            }
            Transport::Http if password.is_some() && !address.is_local() => {
                bail!("{address} is not encrypted, so others could read the credential; use https")
            }
            _ => {}
        }
        Ok(Some(GitSettings {
            address,
            reference,
            path: folder(&self.git_path.unwrap_or_default())?,
            interval: self.git_interval.duration(),
            timeout: FETCH_TIMEOUT,
            credentials: Credentials {
                user: self.git_user,
                password,
                key,
                passphrase: reference_of(self.git_ssh_passphrase_file, "--git-ssh-passphrase-file", PASSPHRASE)?,
            },
            known_hosts: self.git_known_hosts.map(absolute).transpose()?,
            signers: self.git_verify.map(absolute).transpose()?,
            cache_dir: state_dir.join("git"),
        }))
    }
}

fn file_at(path: PathBuf) -> Result<SecretRef> {
    let path = absolute(path)?;
    let text = path.to_str().ok_or_else(|| anyhow!("{} is not valid UTF-8", path.display()))?;
    Ok(SecretRef { file: Some(text.to_owned()), ..SecretRef::default() })
}

/// Normalizes a folder's path in the repository.
fn folder(text: &str) -> Result<String> {
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        bail!("--git-path {text:?} points outside the repository");
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        git: GitArgs,
    }

    fn resolve(typed: &[&str], set: &[&str]) -> Result<Option<GitSettings>, String> {
        let typed = Flags::parse_from([&["agentpod"], typed].concat());
        let resolved = typed.git.resolve_with(Path::new("/state"), |name| set.contains(&name));
        resolved.map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_repository_is_followed_with_defaults() {
        assert!(resolve(&[], &[TOKEN]).unwrap().is_none());
        let git = resolve(&["--git", "https://h/r.git"], &[]).unwrap().unwrap();
        assert_eq!((git.reference, git.interval), (Reference::Head, Duration::from_secs(60)));
        let typed = ["--git", "https://h/r.git", "--git-branch", "main", "--git-path", "/a//b/./"];
        let git = resolve(&typed, &[TOKEN]).unwrap().unwrap();
        assert_eq!(git.origin(), "https://h/r.git@main in a/b/");
        assert_eq!(git.credentials.password.unwrap().env.as_deref(), Some(TOKEN));
    }

    #[test]
    fn conflicting_settings_are_refused_with_the_reason() {
        let ssh = ["--git", "git@h:r.git"];
        let http = ["--git", "http://h/r.git"];
        for (typed, set, why) in [
            (&["--git", "https://me:s3cret@h/r"][..], &[][..], "--git-token-file"),
            (&["--git-branch", "main"], &[], "need --git"),
            (&ssh, &[], "--git-ssh-key"),
            (&[&ssh[..], &["--git-ssh-key", "k"]].concat(), &[TOKEN], "does not use https"),
            (&[&http[..], &["--git-ssh-key", "k"]].concat(), &[], "does not use SSH"),
            (&http, &[TOKEN], "not encrypted"),
            (&http, &[PASSWORD], "--git-user"),
            (&[&http[..], &["--git-token-file", "t"]].concat(), &[TOKEN], "set only one"),
            (&[&http[..], &["--git-user", "me"]].concat(), &[TOKEN, PASSWORD], "set only one"),
            (&[&http[..], &["--git-branch", "a", "--git-tag", "b"]].concat(), &[], "set only one"),
            (&[&http[..], &["--git-branch", "a..b"]].concat(), &[], "not a valid branch"),
            (&[&http[..], &["--git-path", "a/../../b"]].concat(), &[], "points outside"),
            (&[&http[..], &["--git-interval", "10ms"]].concat(), &[], "at least 1s"),
        ] {
            let error = resolve(typed, set).expect_err(&format!("{typed:?}"));
            assert!(error.contains(why) && !error.contains("s3cret"), "{typed:?}: {error}");
        }
    }
}
