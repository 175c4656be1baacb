//! Logs: to standard error, for people on a terminal and as JSON for machines. `AGENTPOD_LOG` chooses what is said.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For reading.
    Text,
    /// For machines.
    Json,
}

/// What may never be said in detail, whatever `AGENTPOD_LOG` asks for.
const NEVER_DETAILED: [&str; 4] = ["bollard=info", "hyper_util=info", "sqlx=info", "notify=info"];

/// Begins logging; once in a process. `usual` is what is said when `AGENTPOD_LOG` is not set.
pub fn start(format: LogFormat, usual: &str) {
    let filter = EnvFilter::try_from_env("AGENTPOD_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    // At debug level the engine's client writes whole requests, and with them the agents' secrets; and the watch tells of
    // every line that is written into a log beside the manifests, in one more line.
    let filter = NEVER_DETAILED
        .iter()
        .fold(filter, |filter, quiet| filter.add_directive(quiet.parse().expect("a fixed directive parses")));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).with_target(false);
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    // Only a second start in one process fails, and then the first one's settings stay.
    drop(started);
}
