//! Logs to standard error, as text for people or as JSON for machines. `AGENTPOD_LOG` sets the filter.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Crates that never log below a level, whatever `AGENTPOD_LOG` says: the engine's client and the database's log whole requests
/// with secrets in them; notify logs every event of a log file beside the manifests, and warns about folders that are gone,
/// which is how a folder is swapped (what it fails at, it reports to its caller as well).
const CAPPED: [(&str, Level); 4] =
    [("bollard", Level::INFO), ("hyper_util", Level::INFO), ("sqlx", Level::INFO), ("notify", Level::ERROR)];

/// Starts logging, once per process. `default` is the filter if `AGENTPOD_LOG` is not set.
pub(crate) fn start(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_env("AGENTPOD_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // Two global filters instead of one on the layer: sqlx checks whether a line is enabled without logging it, and a
    // layer's filter would apply that result to the next line.
    let cap = filter_fn(|metadata| *metadata.level() <= cap_of(metadata.target()));
    let all = registry().with(cap).with(filter);
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(color).with_target(false);
    let started = match format {
        LogFormat::Text => all.with(lines).try_init(),
        LogFormat::Json => all.with(lines.json()).try_init(),
    };
    // Only a second start in one process fails, and then the first one's settings stay.
    drop(started);
}

/// The most detailed level that a target may log at.
fn cap_of(target: &str) -> Level {
    let is_in = |name: &str| target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    CAPPED.iter().find(|(name, _)| is_in(name)).map_or(Level::TRACE, |(_, level)| *level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_would_log_secrets_or_false_alarms_are_capped_whatever_the_filter_says() {
        assert_eq!(cap_of("bollard::docker"), Level::INFO);
        assert_eq!(cap_of("notify::inotify"), Level::ERROR, "it warns about each folder that was swapped");
        assert_eq!(cap_of("notify_more"), Level::TRACE);
        assert_eq!(cap_of("agentpod::source"), Level::TRACE);
    }
}
