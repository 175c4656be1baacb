//! The command line: arguments, and the function that runs each command. Text output is for people; scripts use
//! `-o json` or `-o yaml`. Exit codes: 0 success, 1 an error or a problem, 2 changes pending (`plan`), orphans found
//! (`orphans`) or wrong usage.

mod account;
mod agent;
mod apply;
mod arguments;
mod ask;
mod backend;
mod connect;
mod daemon;
mod describe;
mod diff;
mod edit;
mod event_filter;
mod events;
mod key;
mod lists;
mod logs;
mod offline;
mod orphans;
mod output;
mod plan;
mod progress;
mod requests;
mod revisions;
mod running;
mod secret;
mod similar;
mod since;
mod status;
mod token;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::{Parser, Subcommand, ValueEnum};

use self::backend::Target;
use crate::{
    config::{ServerArgs, SettingsArgs},
    core::{names::PodId, quantity::Span},
    telemetry::{self, LogFormat},
};

/// Host one isolated AI agent per tenant, as declared in files
#[derive(Debug, Parser)]
#[command(name = "agentpod", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// The format of log lines
    #[arg(long, env = "AGENTPOD_LOG_FORMAT", default_value = "text", global = true)]
    log_format: LogFormat,
    /// What was typed, for the other commands on this machine.
    #[arg(skip)]
    typed: running::Typed,
}

/// The format of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For scripts.
    Json,
    /// For scripts, as YAML.
    Yaml,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: keep everything as declared, until stopped
    Run,
    /// Show what apply would do, without doing it (exit code 2: there are changes)
    Plan {
        /// The output format
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Apply the manifests once, wait until every pod is ready, and exit
    Apply {
        /// How long to wait
        #[arg(long, default_value = "10m", value_name = "TIME")]
        timeout: Span,
        /// Approve the removals held by the plan with this hash
        #[arg(long, value_name = "HASH")]
        approve: Option<String>,
    },
    /// Check the manifests and list every problem
    Validate {
        /// A folder of manifests, instead of --source, or a single file of one
        #[arg(value_name = "PATH")]
        directory: Option<PathBuf>,
        /// The output format
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Check adapters and templates by rendering their samples
    Check,
    /// Print the JSON Schema of manifests, for editors
    Schema,
    /// List the pods and whether each is ready
    Status {
        #[command(flatten)]
        filter: status::PodFilter,
        /// The output format
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Show one pod in detail: conditions, plan, desired against actual state, usage, events
    Describe {
        /// The pod, as TENANT/POD
        pod: PodId,
        /// The output format
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// List the tenants and what their pods use
    Tenants {
        /// The output format
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// List the adapters in force and how many pods use each
    Adapters {
        /// The output format
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Render a pod's environment and files, without secrets
    Render {
        /// The pod, as TENANT/POD
        pod: PodId,
    },
    /// List events, newest last
    Events {
        #[command(flatten)]
        filter: event_filter::EventFilter,
        /// Show at most this many events
        #[arg(short = 'n', long, default_value_t = 50)]
        limit: u32,
        /// Keep printing new events
        #[arg(short, long)]
        watch: bool,
        /// The output format
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// List the source's revisions, newest last; with REV, show that one with its problems
    Revisions {
        /// A revision: its number, or the first characters of its hash or commit
        #[arg(value_name = "REV")]
        revision: Option<String>,
        /// Show at most this many revisions
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: u32,
        /// The output format
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Compare the revision in force with REV, older to newer, and list the pods that differ
    Diff {
        /// The other revision: its number, or the first characters of its hash or commit [default: the previous accepted one]
        #[arg(value_name = "REV")]
        revision: Option<String>,
        /// The output format
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Show a pod's log as the agent wrote it; over --server, secrets in it are redacted
    Logs {
        /// The pod, as TENANT/POD
        pod: PodId,
        /// Keep printing new lines
        #[arg(short, long)]
        follow: bool,
        /// Start with this many of the last lines [default: 100; with --since 10000]
        #[arg(short = 'n', long, value_name = "COUNT")]
        tail: Option<usize>,
        /// Only lines written since: so long ago, like 10m or 2d, or at a moment like 2026-11-24T12:00:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<since::Since>,
        /// The log of the container before the current one, as long as it is there
        #[arg(short, long, conflicts_with = "follow")]
        previous: bool,
        /// Begin each line with its time
        #[arg(short, long)]
        timestamps: bool,
    },
    /// Change a pod in the source, in your editor or with --set; what it changes is shown first
    Edit {
        /// The pod, as TENANT/POD
        pod: PodId,
        #[command(flatten)]
        options: edit::EditOptions,
    },
    /// List AgentPod's containers, volumes and networks that nothing declares (exit code 2: there are some)
    Orphans {
        /// The output format
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Delete a removed pod's data for good: its volume, remaining containers, token and history
    Purge {
        /// The pod, as TENANT/POD; it must not be declared any more
        pod: PodId,
        /// Do not ask for confirmation
        #[arg(short, long)]
        yes: bool,
    },
    #[command(flatten)]
    Requests(requests::RequestCommand),
    /// Print a login link for a running pod
    Open {
        /// The pod, as TENANT/POD
        pod: PodId,
    },
    /// Show or rotate a pod's gateway token
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Rotate the instance key, or reset a lost one
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Manage accounts of the dashboard and the API
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Encrypt secrets so that they are safe to commit
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Settings, which every command takes as flags or from the environment; a flag wins
    #[command(hide = true, override_usage = "agentpod COMMAND [SETTINGS]")]
    Settings,
}

/// Parses this process's arguments. Help and mistakes are printed, and end the process.
pub fn parse() -> Cli {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    running::parse(arguments).unwrap_or_else(|error| error.exit())
}

/// Runs the command.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { command, settings, server, log_format, typed } = cli;
    let default_level = match command {
        Command::Run => "agentpod=info,warn",
        // These print what they find.
        Command::Plan { .. } | Command::Apply { .. } => "agentpod=error,warn",
        _ => "warn",
    };
    telemetry::start(log_format, default_level);
    let server = if command.supports_server() || command.is_local_only() { server.resolve()? } else { None };
    if server.is_some() && command.is_local_only() {
        bail!(
            "this command uses the database and engine of this machine and does not work over --server; omit --server and \
             unset AGENTPOD_SERVER"
        );
    }
    let target = |settings: SettingsArgs| {
        Ok::<_, anyhow::Error>(match server {
            Some(server) => Target::Remote(server),
            None => Target::Local(Box::new(settings.resolve()?)),
        })
    };
    match command {
        Command::Run => Box::pin(daemon::run(settings.resolve()?, typed)).await,
        Command::Plan { output } => plan::run(settings.resolve()?, output).await,
        Command::Apply { timeout, approve } => {
            Box::pin(apply::run(settings.resolve()?, timeout.duration(), approve)).await
        }
        Command::Validate { directory, output } => offline::validate(settings.resolve()?, directory, output).await,
        Command::Check => offline::check(settings.resolve()?).await,
        Command::Schema => offline::schema(),
        Command::Status { filter, output } => status::run(target(settings)?, filter, output).await,
        Command::Describe { pod, output } => describe::run(target(settings)?, &pod, output).await,
        Command::Tenants { output } => lists::tenants(target(settings)?, output).await,
        Command::Adapters { output } => lists::adapters(target(settings)?, output).await,
        Command::Render { pod } => offline::render(settings.resolve()?, &pod).await,
        Command::Events { filter, limit, watch, output } => {
            events::run(target(settings)?, filter, limit, watch, output).await
        }
        Command::Revisions { revision, limit, output } => {
            revisions::run(target(settings)?, revision, limit, output).await
        }
        Command::Diff { revision, output } => diff::run(settings.resolve()?, revision, output).await,
        Command::Logs { pod, follow, tail, timestamps, since, previous } => {
            logs::run(target(settings)?, &pod, logs::LogOptions { follow, tail, timestamps, since, previous }).await
        }
        Command::Edit { pod, options } => edit::run(target(settings)?, &pod, options).await,
        Command::Orphans { output } => orphans::orphans(settings.resolve()?, output).await,
        Command::Purge { pod, yes } => orphans::purge(settings.resolve()?, pod, yes).await,
        Command::Requests(command) => requests::run(target(settings)?, command).await,
        Command::Open { pod } => agent::open(settings.resolve()?, &pod).await,
        Command::Token(command) => token::run(settings.resolve()?, command).await,
        Command::Key(command) => key::run(settings.resolve()?, command).await,
        Command::Account(command) => account::run(settings.resolve()?, command).await,
        Command::Secret(command) => secret::run(settings.resolve()?, command),
        Command::Completions { shell } => offline::completions(shell),
        Command::Settings => offline::settings(),
    }
}

impl Command {
    /// Whether it reads from a database or, with `--server`, from an API.
    fn supports_server(&self) -> bool {
        matches!(
            self,
            Self::Status { .. }
                | Self::Describe { .. }
                | Self::Tenants { .. }
                | Self::Adapters { .. }
                | Self::Events { .. }
                | Self::Revisions { .. }
                | Self::Logs { .. }
                | Self::Edit { .. }
                | Self::Requests(_)
        )
    }

    /// Whether it needs the database or the engine of this machine, and so refuses `--server`.
    fn is_local_only(&self) -> bool {
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
