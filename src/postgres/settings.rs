//! The server's settings, as command-line arguments so that they apply to every data directory. A user's `postgresql.conf`
//! may add settings but not override these.

use std::path::Path;

/// Settings for a small, local database beside the agents.
const SETTINGS: [(&str, &str); 15] = [
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("cluster_name", "agentpod"),
    ("shared_buffers", "32MB"),
    ("max_connections", "50"),
    ("max_wal_size", "256MB"),
    ("jit", "off"),
    ("max_logical_replication_workers", "0"),
    ("lc_messages", "C"),
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
    ("log_checkpoints", "off"),
    ("log_line_prefix", "%m [%p] "),
    ("log_timezone", "UTC"),
    ("timezone", "UTC"),
];

/// The arguments for `pg_ctl -o`, quoted for the shell. They include `-D`, since pg_ctl's own does not quote `$` and quotes.
pub(crate) fn arguments(data: &Path, socket_dir: &Path) -> String {
    let quoted = |word: &str| format!("'{}'", word.replace('\'', "'\\''"));
    let port = super::PORT.to_string();
    // A list of names, quoted like SQL identifiers.
    let sockets = format!("\"{}\"", socket_dir.to_string_lossy().replace('"', "\"\""));
    let own = [("port", port.as_str()), ("unix_socket_directories", sockets.as_str())];
    let mut all = format!("-D {}", quoted(&data.to_string_lossy()));
    for (name, value) in SETTINGS.iter().copied().chain(own) {
        all.push_str(&format!(" -c {}", quoted(&format!("{name}={value}"))));
    }
    all
}
