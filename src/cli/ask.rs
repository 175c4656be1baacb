//! Confirmation by a person, and the name of the user who runs a command. Silence is never a yes.

use std::io::stdin;

use anyhow::{Result, bail};

/// Asks a question and returns whether the answer is yes. Without a terminal, `--yes` is needed.
pub(crate) async fn confirm(question: &str, yes: bool) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    eprint!("{question}? [y/N] ");
    // In a thread of its own, so that a signal ends the command while nobody types.
    let typed = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        stdin().read_line(&mut answer).map(|_| answer)
    });
    let answer = typed.await??;
    if answer.is_empty() {
        eprintln!();
        bail!("there is no terminal to confirm on, so nothing was changed; use --yes in scripts");
    }
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// The user and the host, like `alice@host`; under `sudo`, the user who ran it.
pub(crate) fn actor_at_host() -> String {
    let name = std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty()).unwrap_or_else(actor);
    format!("{name}@{}", rustix::system::uname().nodename().to_string_lossy())
}

/// The user's name for events; under `sudo`, with the user who ran it.
pub(crate) fn actor() -> String {
    let uid = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name_in = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    let name = users.lines().find_map(name_in).unwrap_or_else(|| format!("uid {uid}"));
    match std::env::var("SUDO_USER") {
        Ok(before) if before != name => format!("{name} (sudo by {before})"),
        _ => name,
    }
}
