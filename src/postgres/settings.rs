//! How the server is set up, told on its command line so that it holds for data directories of every age. A user's
//! own `postgresql.conf` may add to it, not override it. It may not start anything.

use std::path::Path;

/// A few tenants' worth of rows, beside the tenants themselves: small, quiet, local.
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

/// As `pg_ctl -o` wants them: a piece of shell. (What it makes of a `-D` of its own breaks on a `$` or a quote.)
pub fn arguments(data: &Path, socket_dir: &Path) -> String {
    let quoted = |word: &str| format!("'{}'", word.replace('\'', "'\\''"));
    let port = super::PORT.to_string();
    // A list of names, each quotable like an SQL identifier.
    let sockets = format!("\"{}\"", socket_dir.to_string_lossy().replace('"', "\"\""));
    let ours = [("port", port.as_str()), ("unix_socket_directories", sockets.as_str())];
    let mut all = format!("-D {}", quoted(&data.to_string_lossy()));
    for (name, value) in SETTINGS.iter().copied().chain(ours) {
        all.push_str(&format!(" -c {}", quoted(&format!("{name}={value}"))));
    }
    all
}
