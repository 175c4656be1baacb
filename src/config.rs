//! Settings: as typed (flags and environment variables), and as used, checked and complete.

mod access;
mod git;
mod secrets;
mod server;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use ipnet::Ipv4Net;
use time::Duration;

pub use self::access::{AccessSettings, Forward};
pub(crate) use self::{
    access::AccessArgs,
    git::GitArgs,
    secrets::SecretArgs,
    server::{ServerAddress, ServerArgs},
};
use crate::{
    core::{
        decide::plan::{MaxUnavailable, RemovalLimit},
        declare::infra::NetworkSpec,
        labels,
        names::InstanceName,
        quantity::Span,
        site::{Scheme, Site},
    },
    source::git::{GitSettings, edit_obstacle},
    store::KEY_FILE,
};

/// The default file of age identities, in the state directory.
pub(crate) const AGE_IDENTITY: &str = "age.key";

/// Settings as typed.
#[derive(Debug, Clone, Args)]
pub(crate) struct SettingsArgs {
    /// The folder of manifests
    #[arg(long, env = "AGENTPOD_SOURCE", default_value = "manifests", value_name = "DIR", global = true)]
    pub(crate) source: PathBuf,
    /// The git repository of manifests
    #[command(flatten)]
    pub(crate) git: GitArgs,
    /// The folder of adapters
    #[arg(long, env = "AGENTPOD_ADAPTERS", default_value = "adapters", value_name = "DIR", global = true)]
    pub(crate) adapters: PathBuf,
    /// The folder of the adapters' templates
    #[arg(long, env = "AGENTPOD_TEMPLATES", default_value = "templates", value_name = "DIR", global = true)]
    pub(crate) templates: PathBuf,
    /// The folder of AgentPod's key and private database [default: /var/lib/agentpod for root, else ~/.local/state/agentpod]
    #[arg(long, env = "AGENTPOD_STATE_DIR", value_name = "DIR", global = true)]
    pub(crate) state_dir: Option<PathBuf>,
    /// A file of age identities that decrypt secrets; repeatable, or several separated by colons [default: age.key in the
    /// state directory]
    #[arg(
        long = "age-identity",
        env = "AGENTPOD_AGE_IDENTITY",
        value_name = "FILE",
        value_delimiter = ':',
        global = true
    )]
    pub(crate) age_identities: Vec<PathBuf>,
    /// Where pods' secrets may come from
    #[command(flatten)]
    pub(crate) secrets: SecretArgs,
    /// The file of the key that seals tokens in the database [default: instance.key in the state directory]
    #[arg(long, env = "AGENTPOD_KEY_FILE", value_name = "FILE", global = true)]
    pub(crate) key_file: Option<PathBuf>,
    /// A PostgreSQL database to use instead of the private one
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true, global = true)]
    pub(crate) database_url: Option<String>,
    /// The folder of PostgreSQL's server programs, if they are not found automatically
    #[arg(long, env = "AGENTPOD_POSTGRES_BIN", value_name = "DIR", global = true)]
    pub(crate) postgres_bin: Option<PathBuf>,
    /// The Docker engine's socket or address [default: DOCKER_HOST, else the local socket]
    #[arg(long, env = "AGENTPOD_DOCKER_HOST", value_name = "ADDRESS", global = true)]
    pub(crate) docker_host: Option<String>,
    /// The name of this AgentPod, if several share an engine
    #[arg(long, env = "AGENTPOD_INSTANCE", default_value = "agentpod", global = true)]
    pub(crate) instance: InstanceName,
    /// The domain of pods, which answer at SUBDOMAIN.DOMAIN
    #[arg(long, env = "AGENTPOD_DOMAIN", default_value = "localhost", global = true)]
    pub(crate) domain: String,
    /// The scheme of the proxy, as browsers see it
    #[arg(long, env = "AGENTPOD_PUBLIC_SCHEME", default_value = "https", global = true)]
    pub(crate) public_scheme: SchemeArg,
    /// The port of the proxy, as browsers see it [default: that of the scheme]
    #[arg(long, env = "AGENTPOD_PUBLIC_PORT", value_name = "PORT", global = true)]
    pub(crate) public_port: Option<u16>,
    /// Traefik's entry point for pods
    #[arg(long, env = "AGENTPOD_ENTRY_POINT", default_value = "websecure", global = true)]
    pub(crate) entry_point: String,
    /// Traefik's certificate resolver; omit it with a wildcard certificate
    #[arg(long, env = "AGENTPOD_CERT_RESOLVER", value_name = "NAME", global = true)]
    pub(crate) cert_resolver: Option<String>,
    /// The Docker network that pods and the proxy share
    #[arg(long, env = "AGENTPOD_NETWORK", default_value = "agentpod-net", global = true)]
    pub(crate) network: String,
    /// The network's subnet; the upper half is for pods, the lower for the proxy
    #[arg(long, env = "AGENTPOD_NETWORK_SUBNET", default_value = "10.213.0.0/20", value_name = "CIDR", global = true)]
    pub(crate) network_subnet: String,
    /// The largest packet on the network, in bytes [default: that of the engine's default network]
    #[arg(long, env = "AGENTPOD_NETWORK_MTU", value_name = "BYTES", global = true,
        value_parser = clap::value_parser!(u16).range(576..))]
    pub(crate) network_mtu: Option<u16>,
    /// The proxy's address on the network [default: the second address of the subnet]
    #[arg(long, env = "AGENTPOD_PROXY_ADDRESS", value_name = "IP", global = true)]
    pub(crate) proxy_address: Option<IpAddr>,
    /// The address that the dashboard and the API listen on
    #[arg(long, env = "AGENTPOD_LISTEN", default_value = "127.0.0.1:7070", value_name = "ADDRESS", global = true)]
    pub(crate) listen: SocketAddr,
    /// Access to the dashboard and the API
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// A file of webhook secrets, one per line; or set AGENTPOD_HOOK_SECRET [default: no webhook]
    #[arg(long, env = "AGENTPOD_HOOK_SECRET_FILE", value_name = "FILE", global = true)]
    pub(crate) hook_secret_file: Option<PathBuf>,
    /// Whether operators may add pods to the source on the dashboard, as files or as commits to a git branch
    #[arg(long, env = "AGENTPOD_EDITS", default_value = "off", global = true)]
    pub(crate) edits: EditsArg,
    /// How long a removed pod's stopped container is kept
    #[arg(long, env = "AGENTPOD_REMOVAL_GRACE", default_value = "10m", value_name = "TIME", global = true)]
    pub(crate) removal_grace: Span,
    /// How many pods may be removed at once without approval; more are held if they also exceed --max-removals-percent
    #[arg(long, env = "AGENTPOD_MAX_REMOVALS", default_value_t = 3, value_name = "COUNT", global = true)]
    pub(crate) max_removals: u32,
    /// Which percentage of the pods may be removed at once without approval; 100 never holds any
    #[arg(
        long,
        env = "AGENTPOD_MAX_REMOVALS_PERCENT",
        default_value_t = 20,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(0..=100),
        global = true
    )]
    pub(crate) max_removals_percent: u32,
    /// Which percentage of the pods may be unavailable at once because they are replaced; always at least one pod
    #[arg(
        long,
        env = "AGENTPOD_MAX_UNAVAILABLE",
        default_value_t = 10,
        value_name = "PERCENT",
        value_parser = clap::value_parser!(u32).range(1..=100),
        global = true
    )]
    pub(crate) max_unavailable: u32,
}

/// Edits of the source on the dashboard, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EditsArg {
    /// No edits.
    Off,
    /// New pods may be added.
    Commit,
}

/// The public scheme, as typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SchemeArg {
    /// Unencrypted.
    Http,
    /// Encrypted.
    Https,
}

/// Settings as used.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The folder of manifests; absolute.
    pub(crate) source: PathBuf,
    /// The git repository of manifests, which overrides the folder.
    pub(crate) git: Option<GitSettings>,
    /// The folder of adapters.
    pub(crate) adapters: PathBuf,
    /// The folder of the adapters' templates.
    pub(crate) templates: PathBuf,
    /// The folder of the instance key and the private database; absolute.
    pub(crate) state_dir: PathBuf,
    /// The file of the instance key; absolute.
    pub(crate) key_file: PathBuf,
    /// The files of age identities.
    pub(crate) age_identities: Vec<PathBuf>,
    /// The URL of a PostgreSQL database to use instead of the private one.
    pub(crate) database_url: Option<String>,
    /// The folder of PostgreSQL's server programs; `None` to search for them.
    pub(crate) postgres_bin: Option<PathBuf>,
    /// The engine's address; `None` for `DOCKER_HOST` or the local socket.
    pub(crate) docker_host: Option<String>,
    /// What all pods share.
    pub(crate) site: Site,
    /// The address that the dashboard and the API listen on.
    pub(crate) listen: SocketAddr,
    /// Access to the dashboard and the API.
    pub(crate) access: AccessSettings,
    /// The file of webhook secrets.
    pub(crate) hook_secret_file: Option<PathBuf>,
    /// Whether operators may add pods to the source on the dashboard.
    pub(crate) edits: bool,
    /// How long a removed pod's stopped container is kept.
    pub(crate) removal_grace: Duration,
    /// How many pods may be removed at once without approval.
    pub(crate) removals: RemovalLimit,
    /// How many pods may be unavailable at once because they are replaced.
    pub(crate) max_unavailable: MaxUnavailable,
}

impl SettingsArgs {
    /// Checks and completes the settings.
    pub(crate) fn resolve(self) -> Result<Settings> {
        let Self { source, adapters, templates, state_dir, database_url, postgres_bin, docker_host, .. } = self.clone();
        check_domain(&self.domain)?;
        for (flag, word) in [
            ("--entry-point", Some(&self.entry_point)),
            ("--cert-resolver", self.cert_resolver.as_ref()),
            ("--network", Some(&self.network)),
        ] {
            if let Some(word) = word
                && !word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            {
                bail!("{flag} {word:?} contains invalid characters; use letters, digits, hyphens, dots and _");
            }
        }
        let subnet = parse_subnet(&self.network_subnet)?;
        let second = Ipv4Addr::from(u32::from(subnet.addr()) + 2);
        let proxy_address = self.proxy_address.unwrap_or(second.into());
        let scheme = match self.public_scheme {
            SchemeArg::Http => Scheme::Http,
            SchemeArg::Https => Scheme::Https,
        };
        let mut network_labels = labels::owned(&self.instance);
        network_labels.insert(labels::PROXY_ADDRESS.into(), proxy_address.to_string());
        let state_dir = absolute(state_dir.map_or_else(default_state_dir, Ok)?)?;
        let age_identities = match self.age_identities {
            none if none.is_empty() => vec![state_dir.join(AGE_IDENTITY)],
            some => some,
        };
        let git = self.git.resolve(&state_dir)?;
        let edits = self.edits == EditsArg::Commit;
        if let Some(obstacle) = git.as_ref().filter(|_| edits).and_then(edit_obstacle) {
            bail!("--edits commit: {obstacle}");
        }
        Ok(Settings {
            source: absolute(source)?,
            git,
            edits,
            adapters,
            templates,
            key_file: absolute(self.key_file.unwrap_or_else(|| state_dir.join(KEY_FILE)))?,
            state_dir,
            age_identities,
            database_url,
            postgres_bin,
            docker_host,
            site: Site {
                instance: self.instance,
                domain: self.domain.to_lowercase(),
                scheme,
                port: self.public_port,
                entry_point: self.entry_point,
                cert_resolver: self.cert_resolver,
                network: NetworkSpec {
                    name: self.network,
                    subnet: self.network_subnet,
                    pool: upper_half(subnet)?.to_string(),
                    mtu: self.network_mtu,
                    labels: network_labels,
                },
                proxy_address,
                secrets: self.secrets.resolve()?,
            },
            listen: self.listen,
            access: self.access.resolve()?,
            hook_secret_file: self.hook_secret_file.map(absolute).transpose()?,
            removal_grace: Duration::milliseconds(self.removal_grace.0 as i64),
            removals: RemovalLimit { count: self.max_removals as usize, percent: self.max_removals_percent as usize },
            max_unavailable: MaxUnavailable(self.max_unavailable as usize),
        })
    }
}

impl Settings {
    /// The files and folders with AgentPod's own credentials, which no pod may get as a secret.
    pub(crate) fn own_files(&self) -> Vec<PathBuf> {
        let credentials = self.git.iter().flat_map(|git| git.credentials.files());
        let mut own = vec![self.state_dir.clone(), self.key_file.clone()];
        own.extend(self.age_identities.iter().cloned());
        own.extend(self.hook_secret_file.iter().cloned());
        own.extend(credentials.map(PathBuf::from));
        own
    }
}

fn check_domain(domain: &str) -> Result<()> {
    let label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if domain.len() > 190 || !domain.split('.').all(label) {
        bail!(
            "--domain {domain:?} is not a domain name; use one like example.com, pods then answer at alice.example.com"
        );
    }
    Ok(())
}

fn parse_subnet(text: &str) -> Result<Ipv4Net> {
    match text.parse::<Ipv4Net>() {
        Ok(subnet) if (8..=28).contains(&subnet.prefix_len()) && subnet.addr() == subnet.network() => Ok(subnet),
        _ => {
            bail!("--network-subnet {text:?} is not a subnet like 10.213.0.0/20 (from /8 to /28, with host bits zero)")
        }
    }
}

/// The half of a subnet whose addresses the engine assigns by itself.
fn upper_half(subnet: Ipv4Net) -> Result<Ipv4Net> {
    let mut halves = subnet.subnets(subnet.prefix_len() + 1)?;
    halves.nth(1).context("the subnet has no two halves")
}

/// The state directory if none is named.
pub(crate) fn default_state_dir() -> Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/agentpod".into());
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home);
    Ok(base.context("neither --state-dir nor HOME is set; choose a folder with --state-dir")?.join("agentpod"))
}

fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).with_context(|| format!("cannot make {} an absolute path", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_is_split_between_proxy_and_pods() {
        let subnet = parse_subnet("10.213.0.0/20").unwrap();
        assert_eq!(upper_half(subnet).unwrap().to_string(), "10.213.8.0/21");
        for bad in ["10.213.0.1/20", "10.213.0.0/30", "10.213.0.0", "x/20", "10.0.0.0/7"] {
            assert!(parse_subnet(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn edits_are_refused_where_a_commit_would_not_be_accepted() {
        #[derive(clap::Parser)]
        struct ParsedFlags {
            #[command(flatten)]
            settings: SettingsArgs,
        }
        let resolve = |more: &[&str]| {
            let typed = [&["agentpod", "--state-dir", "/state", "--git", "https://h/r"], more].concat();
            <ParsedFlags as clap::Parser>::parse_from(typed).settings.resolve().map_err(|error| error.to_string())
        };
        assert!(!resolve(&[]).unwrap().edits);
        assert!(resolve(&["--edits", "commit"]).unwrap().edits);
        for (more, why) in [(["--git-tag", "v1"], "follows a tag"), (["--git-verify", "signers"], "--git-verify")] {
            assert!(resolve(&more).is_ok());
            let error = resolve(&[&["--edits", "commit"][..], &more].concat()).unwrap_err();
            assert!(error.starts_with("--edits commit: ") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_domain_cannot_inject_anything_into_a_rule() {
        assert!(check_domain("example.com").is_ok() && check_domain("localhost").is_ok());
        for bad in ["", "a..b", "exa`mple.com", "a b", ".com", "x/y"] {
            assert!(check_domain(bad).is_err(), "{bad}");
        }
    }
}
