//! Logs: to standard error, for people on a terminal and as JSON for machines. `AGENTPOD_LOG` chooses what is said.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For reading.
    Text,
    /// For machines.
    Json,
}

/// Whose details are never said, whatever `AGENTPOD_LOG` asks for: the engine's client writes whole requests, and with them
/// the agents' secrets; the watch tells of every line written into a log beside the manifests, in one more line.
const NEVER_DETAILED: [&str; 4] = ["bollard", "hyper_util", "sqlx", "notify"];

/// Begins logging; once in a process. `usual` is what is said when `AGENTPOD_LOG` is not set.
pub fn start(format: LogFormat, usual: &str) {
    let filter = EnvFilter::try_from_env("AGENTPOD_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    // Two filters for everything, not one for the lines: sqlx asks whether it would be heard and then says nothing, and a
    // filter of one layer takes its answer to that for its answer to the next line.
    let cap = filter_fn(|about| *about.level() <= Level::INFO || !is_quiet(about.target()));
    let all = registry().with(cap).with(filter);
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_target(false);
    let started = match format {
        LogFormat::Text => all.with(lines).try_init(),
        LogFormat::Json => all.with(lines.json()).try_init(),
    };
    // Only a second start in one process fails, and then the first one's settings stay.
    drop(started);
}

fn is_quiet(target: &str) -> bool {
    NEVER_DETAILED
        .iter()
        .any(|quiet| target.strip_prefix(quiet).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
}
