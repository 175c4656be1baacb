//! The settings of the git source: as typed, and checked. Credentials themselves are no settings: only where they are.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, anyhow, bail};
use clap::Args;

use super::absolute;
use crate::{
    core::{quantity::Span, secret::SecretRef},
    source::git::{Address, Credentials, GitSettings, Reference, Way},
};

/// How long a fetch may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The shortest time between two looks at a remote that somebody else pays for.
const SHORTEST: u64 = 1_000;

/// What these settings are listed under.
const HEADING: &str = "Manifests from git";

const TOKEN: &str = "AGENTPOD_GIT_TOKEN";
const PASSWORD: &str = "AGENTPOD_GIT_PASSWORD";
const PASSPHRASE: &str = "AGENTPOD_GIT_SSH_PASSPHRASE";

/// The git source, as typed.
#[derive(Debug, Clone, Args)]
pub struct GitArgs {
    /// The git repository with the manifests, in place of --source: https, ssh or file, without credentials
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT", value_name = "URL", hide_env_values = true, global = true)]
    pub git: Option<String>,
    /// The branch to follow [default: the one the remote calls its own]
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_BRANCH", value_name = "NAME", global = true)]
    pub git_branch: Option<String>,
    /// The tag to follow
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_TAG", value_name = "NAME", global = true)]
    pub git_tag: Option<String>,
    /// The folder with the manifests in the repository [default: all of it]
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_PATH", value_name = "FOLDER", global = true)]
    pub git_path: Option<String>,
    /// How often the remote is asked
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_INTERVAL", default_value = "60s", value_name = "TIME", global = true)]
    pub git_interval: Span,
    /// The file with a token for https; or give it as AGENTPOD_GIT_TOKEN
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_TOKEN_FILE", value_name = "FILE", global = true)]
    pub git_token_file: Option<PathBuf>,
    /// Who we are, for https
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_USER", value_name = "NAME", global = true)]
    pub git_user: Option<String>,
    /// The file with the user's password; or give it as AGENTPOD_GIT_PASSWORD
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_PASSWORD_FILE", value_name = "FILE", global = true)]
    pub git_password_file: Option<PathBuf>,
    /// The file with the private key for ssh
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_SSH_KEY", value_name = "FILE", global = true)]
    pub git_ssh_key: Option<PathBuf>,
    /// The file with that key's passphrase; or give it as AGENTPOD_GIT_SSH_PASSPHRASE
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_SSH_PASSPHRASE_FILE", value_name = "FILE", global = true)]
    pub git_ssh_passphrase_file: Option<PathBuf>,
    /// The file with the keys of hosts that are trusted [default: ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts]
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_KNOWN_HOSTS", value_name = "FILE", global = true)]
    pub git_known_hosts: Option<PathBuf>,
    /// The file with the SSH keys that may sign, as git takes it; commits without their signature are refused
    #[arg(long, help_heading = HEADING, env = "AGENTPOD_GIT_VERIFY", value_name = "FILE", global = true)]
    pub git_verify: Option<PathBuf>,
}

impl GitArgs {
    /// Checks and completes what was typed; nothing if the manifests are in a folder.
    pub fn settle(self, state_dir: &std::path::Path) -> Result<Option<GitSettings>> {
        self.settle_with(state_dir, |name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    }

    fn settle_with(self, state_dir: &std::path::Path, is_set: impl Fn(&str) -> bool) -> Result<Option<GitSettings>> {
        let Some(text) = self.git.as_deref().filter(|text| !text.is_empty()) else {
            let named = [&self.git_branch, &self.git_tag, &self.git_path].into_iter().flatten().next();
            if named.is_some() || self.git_verify.is_some() {
                bail!("--git-branch, --git-tag, --git-path and --git-verify need --git with the repository's address");
            }
            return Ok(None);
        };
        let address = Address::read(text).map_err(|why| anyhow!("--git: {why}"))?;
        let reference = match (self.git_branch, self.git_tag) {
            (Some(_), Some(_)) => bail!("both --git-branch and --git-tag are given; one thing can be followed"),
            (Some(branch), None) => Reference::Branch(branch),
            (None, Some(tag)) => Reference::Tag(tag),
            (None, None) => Reference::Head,
        };
        if !git2::Reference::is_valid_name(&format!("refs/heads/{}", reference.name().unwrap_or("head"))) {
            bail!("{:?} is no name for a branch or tag", reference.name().unwrap_or_default());
        }
        if self.git_interval.0 < SHORTEST {
            bail!("--git-interval: less than a second would be a burden for the remote");
        }
        let place = |file: Option<PathBuf>, flag: &str, variable: &str| match file {
            Some(_) if is_set(variable) => bail!("both {flag} and {variable} are given; give one"),
            Some(file) => Ok(Some(file_at(file)?)),
            None => Ok(is_set(variable).then(|| SecretRef { env: Some(variable.into()), ..SecretRef::default() })),
        };
        let token = place(self.git_token_file, "--git-token-file", TOKEN)?;
        let password = place(self.git_password_file, "--git-password-file", PASSWORD)?;
        if token.is_some() && password.is_some() {
            bail!("both a token and a password are given for --git; give one");
        }
        if password.is_some() && self.git_user.is_none() {
            bail!("a password is given for --git and no --git-user");
        }
        if self.git_user.as_ref().is_some_and(|user| user.contains(':') || user.chars().any(char::is_control)) {
            bail!("--git-user: a user's name has no colon in it");
        }
        let password = token.or(password);
        let key = self.git_ssh_key.map(file_at).transpose()?;
        match address.way {
            Way::Ssh if key.is_none() => bail!("{address} is reached by SSH: give --git-ssh-key with a private key"),
            Way::Ssh | Way::File if password.is_some() => {
                bail!("a token or password is given for {address}, which takes none; they are for https")
            }
            Way::Https | Way::Http | Way::File if key.is_some() => {
                bail!("--git-ssh-key is given for {address}, which is not reached by SSH")
            }
            Way::Http if password.is_some() && !address.is_local() => {
                bail!("{address} is not encrypted, and everybody on the way could read the credential; use https")
            }
            _ => {}
        }
        Ok(Some(GitSettings {
            address,
            reference,
            path: folder(&self.git_path.unwrap_or_default())?,
            interval: self.git_interval.duration(),
            patience: PATIENCE,
            credentials: Credentials {
                user: self.git_user,
                password,
                key,
                passphrase: place(self.git_ssh_passphrase_file, "--git-ssh-passphrase-file", PASSPHRASE)?,
            },
            known_hosts: self.git_known_hosts.map(absolute).transpose()?,
            signers: self.git_verify.map(absolute).transpose()?,
            caches: state_dir.join("git"),
        }))
    }
}

fn file_at(path: PathBuf) -> Result<SecretRef> {
    let path = absolute(path)?;
    let text = path.to_str().ok_or_else(|| anyhow!("{} is not readable text", path.display()))?;
    Ok(SecretRef { file: Some(text.to_owned()), ..SecretRef::default() })
}

/// A folder in the repository, without what needs no saying.
fn folder(text: &str) -> Result<String> {
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        bail!("--git-path {text:?} leads out of the repository");
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        git: GitArgs,
    }

    fn settle(typed: &[&str], set: &[&str]) -> Result<Option<GitSettings>, String> {
        let typed = Typed::parse_from([&["agentpod"], typed].concat());
        let settled = typed.git.settle_with(Path::new("/state"), |name| set.contains(&name));
        settled.map_err(|error| error.to_string())
    }

    #[test]
    fn a_repository_is_followed_with_all_that_needs_no_saying() {
        assert!(settle(&[], &[TOKEN]).unwrap().is_none());
        let git = settle(&["--git", "https://h/r.git"], &[]).unwrap().unwrap();
        assert_eq!((git.reference, git.interval), (Reference::Head, Duration::from_secs(60)));
        let typed = ["--git", "https://h/r.git", "--git-branch", "main", "--git-path", "/a//b/./"];
        let git = settle(&typed, &[TOKEN]).unwrap().unwrap();
        assert_eq!(git.origin(), "https://h/r.git@main in a/b/");
        assert_eq!(git.credentials.password.unwrap().env.as_deref(), Some(TOKEN));
    }

    #[test]
    fn what_does_not_go_together_is_refused_and_says_so() {
        let ssh = ["--git", "git@h:r.git"];
        let http = ["--git", "http://h/r.git"];
        for (typed, set, why) in [
            (&["--git", "https://me:s3cret@h/r"][..], &[][..], "--git-token-file"),
            (&["--git-branch", "main"], &[], "need --git"),
            (&ssh, &[], "--git-ssh-key"),
            (&[&ssh[..], &["--git-ssh-key", "k"]].concat(), &[TOKEN], "for https"),
            (&[&http[..], &["--git-ssh-key", "k"]].concat(), &[], "not reached by SSH"),
            (&http, &[TOKEN], "not encrypted"),
            (&http, &[PASSWORD], "--git-user"),
            (&[&http[..], &["--git-token-file", "t"]].concat(), &[TOKEN], "give one"),
            (&[&http[..], &["--git-user", "me"]].concat(), &[TOKEN, PASSWORD], "give one"),
            (&[&http[..], &["--git-branch", "a", "--git-tag", "b"]].concat(), &[], "one thing"),
            (&[&http[..], &["--git-branch", "a..b"]].concat(), &[], "no name"),
            (&[&http[..], &["--git-path", "a/../../b"]].concat(), &[], "leads out"),
            (&[&http[..], &["--git-interval", "10ms"]].concat(), &[], "burden"),
        ] {
            let told = settle(typed, set).expect_err(&format!("{typed:?}"));
            assert!(told.contains(why) && !told.contains("s3cret"), "{typed:?}: {told}");
        }
    }
}
