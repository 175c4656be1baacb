//! Asking a person for a yes, and who it is that asks us. May not take silence for a yes.

use std::io::{Write, stderr, stdin};

use anyhow::{Result, bail};

/// Whether a person says yes to a question. With nobody there to ask, `--yes` must have said so.
pub fn confirm(question: &str, yes: bool) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    let mut err = stderr().lock();
    write!(err, "{question}? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    if answer.is_empty() {
        writeln!(err)?;
        bail!("nobody is there to agree, so nothing was changed; scripts that mean it say --yes");
    }
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Who is asking, and from where: `alice@host`, where alice is who it was before `sudo`.
pub fn actor_at_host() -> String {
    let name = std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty()).unwrap_or_else(actor);
    format!("{name}@{}", rustix::system::uname().nodename().to_string_lossy())
}

/// Who is asking, for the record: the user's name, and who they were before `sudo`.
pub fn actor() -> String {
    let uid = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    let name = users.lines().find_map(of).unwrap_or_else(|| format!("uid {uid}"));
    match std::env::var("SUDO_USER") {
        Ok(before) if before != name => format!("{name} (sudo by {before})"),
        _ => name,
    }
}
