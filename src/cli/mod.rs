//! The command line: what can be typed, and which function answers. Everything a person reads here is a sentence; what
//! a script reads is `-o json` or `-o yaml`. Exit codes: 0 well, 1 an error or a problem, 2 changes pending (`plan`),
//! something left over (`orphans`) or wrong usage.

mod account;
mod agent;
mod apply;
mod ask;
mod backend;
mod connect;
mod daemon;
mod describe;
mod diff;
mod events;
mod key;
mod lists;
mod offline;
mod orphans;
mod output;
mod plan;
mod requests;
mod revisions;
mod secret;
mod status;
mod token;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::{Parser, Subcommand, ValueEnum};

use self::backend::Target;
use crate::{
    config::{ServerArgs, SettingsArgs},
    core::{names::PodId, quantity::Span},
    telemetry::{self, LogFormat},
};

/// Hosts one isolated AI agent per tenant, as declared in files
#[derive(Debug, Parser)]
#[command(name = "agentpod", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// How log lines look
    #[arg(long, env = "AGENTPOD_LOG_FORMAT", default_value = "text", global = true)]
    log_format: LogFormat,
}

/// How an answer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For reading.
    Text,
    /// For scripts.
    Json,
    /// The same as YAML.
    Yaml,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keep everything as declared, until stopped
    Run,
    /// Show what would be done, and do nothing (exit code 2: there is something to do)
    Plan {
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Make everything as declared, wait until it is ready, and end
    Apply {
        /// How long to wait
        #[arg(long, default_value = "10m", value_name = "TIME")]
        timeout: Span,
        /// Let the removals go on that the plan of this hash holds
        #[arg(long, value_name = "HASH")]
        approve: Option<String>,
    },
    /// Check manifests and say everything that is wrong with them
    Validate {
        /// The folder with the manifests, in place of --source
        directory: Option<PathBuf>,
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Check adapters and templates, by rendering their samples
    Check,
    /// Print the JSON Schema of manifests, for editors
    Schema,
    /// Show every pod and whether it is ready
    Status {
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Show everything about one pod: conditions, plan, what it should be against what it is, usage, events
    Describe {
        /// Which pod, as TENANT/POD
        pod: PodId,
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Show the tenants, and what their pods take
    Tenants {
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Show the adapters in force, and how many pods are on each
    Adapters {
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Show what a pod's templates render to, secrets left out
    Render {
        /// Which pod, as TENANT/POD
        pod: PodId,
    },
    /// Show what happened, newest last
    Events {
        /// Only this pod, as TENANT/POD
        pod: Option<PodId>,
        /// How many
        #[arg(short = 'n', long, default_value_t = 50)]
        limit: u32,
        /// Go on as they come
        #[arg(short, long)]
        watch: bool,
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Show what the source said over time and what became of it, newest last; with REV, one with its problems
    Revisions {
        /// Only this one: its number, or the beginning of its hash or commit
        #[arg(value_name = "REV")]
        revision: Option<String>,
        /// How many
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: u32,
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Show what changed between the revision in force and REV, older to newer, and which pods that is about
    Diff {
        /// Which: its number, or the beginning of its hash or commit; left out, the accepted one before
        #[arg(value_name = "REV")]
        revision: Option<String>,
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Show a pod's log as the agent wrote it, secrets it printed included; over --server these are left out
    Logs {
        /// Which pod, as TENANT/POD
        pod: PodId,
        /// Go on as lines come
        #[arg(short, long)]
        follow: bool,
        /// How many of the last lines
        #[arg(short = 'n', long, default_value_t = 100)]
        tail: usize,
        /// Begin each line with its time
        #[arg(short, long)]
        timestamps: bool,
    },
    /// Show containers, volumes and networks of ours that nothing declares (exit code 2: there are some)
    Orphans {
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Delete a removed pod's data for good: its volume, what is left of its containers, its token and history
    Purge {
        /// Which pod, as TENANT/POD; not one that is declared
        pod: PodId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    #[command(flatten)]
    Requests(requests::Requests),
    /// Ask a running pod for a login link
    Open {
        /// Which pod, as TENANT/POD
        pod: PodId,
    },
    /// Show or exchange a pod's gateway token
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Exchange the instance key, or go on without a lost one
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Say who may look and ask on the dashboard and the API
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Make encrypted secrets that are safe to commit
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Runs the command.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { command, settings, server, log_format } = cli;
    let usual = match command {
        Command::Run => "agentpod=info,warn",
        // What these find goes into their answer.
        Command::Plan { .. } | Command::Apply { .. } => "agentpod=error,warn",
        _ => "warn",
    };
    telemetry::start(log_format, usual);
    let server = if command.asks() || command.works_here() { server.settle()? } else { None };
    if server.is_some() && command.works_here() {
        bail!(
            "this command works with the database and engine of the machine it is typed on, and not over --server; leave \
             --server out, and AGENTPOD_SERVER unset"
        );
    }
    let place = |settings: SettingsArgs| {
        Ok::<_, anyhow::Error>(match server {
            Some(server) => Target::Remote(server),
            None => Target::Local(Box::new(settings.settle()?)),
        })
    };
    match command {
        Command::Run => Box::pin(daemon::run(settings.settle()?)).await,
        Command::Plan { output } => plan::run(settings.settle()?, output).await,
        Command::Apply { timeout, approve } => {
            Box::pin(apply::run(settings.settle()?, timeout.duration(), approve)).await
        }
        Command::Validate { directory, output } => offline::validate(settings.settle()?, directory, output).await,
        Command::Check => offline::check(settings.settle()?).await,
        Command::Schema => offline::schema(),
        Command::Status { output } => status::run(place(settings)?, output).await,
        Command::Describe { pod, output } => describe::run(place(settings)?, &pod, output).await,
        Command::Tenants { output } => lists::tenants(place(settings)?, output).await,
        Command::Adapters { output } => lists::adapters(place(settings)?, output).await,
        Command::Render { pod } => offline::render(settings.settle()?, &pod).await,
        Command::Events { pod, limit, watch, output } => events::run(place(settings)?, pod, limit, watch, output).await,
        Command::Revisions { revision, limit, output } => {
            revisions::run(place(settings)?, revision, limit, output).await
        }
        Command::Diff { revision, output } => diff::run(settings.settle()?, revision, output).await,
        Command::Logs { pod, follow, tail, timestamps } => {
            agent::logs(place(settings)?, &pod, agent::LogOptions { follow, tail, timestamps }).await
        }
        Command::Orphans { output } => orphans::orphans(settings.settle()?, output).await,
        Command::Purge { pod, yes } => orphans::purge(settings.settle()?, pod, yes).await,
        Command::Requests(asked) => requests::run(place(settings)?, asked).await,
        Command::Open { pod } => agent::open(settings.settle()?, &pod).await,
        Command::Token(what) => token::run(settings.settle()?, what).await,
        Command::Key(what) => key::run(settings.settle()?, what).await,
        Command::Account(what) => account::run(settings.settle()?, what).await,
        Command::Secret(what) => secret::run(settings.settle()?, what),
        Command::Completions { shell } => offline::completions(shell),
    }
}

impl Command {
    /// Whether it asks a database or a server alike.
    fn asks(&self) -> bool {
        matches!(
            self,
            Self::Status { .. }
                | Self::Describe { .. }
                | Self::Tenants { .. }
                | Self::Adapters { .. }
                | Self::Events { .. }
                | Self::Revisions { .. }
                | Self::Logs { .. }
                | Self::Requests(_)
        )
    }

    /// Whether it needs the database or the engine of this machine. Somebody who named a server means that one.
    fn works_here(&self) -> bool {
        matches!(
            self,
            Self::Run
                | Self::Plan { .. }
                | Self::Apply { .. }
                | Self::Diff { .. }
                | Self::Orphans { .. }
                | Self::Purge { .. }
                | Self::Open { .. }
                | Self::Token(_)
                | Self::Key(_)
                | Self::Account(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
