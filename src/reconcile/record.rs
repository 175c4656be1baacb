//! Words for the record: which event an action makes, and log lines without the pod's own secrets in them.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use crate::core::plan::{Action, Cause};

/// How many of a container's last log lines go with an event.
pub const LOG_LINES: usize = 20;

/// The kind of event an action makes when it has been carried out.
pub fn kind(action: &Action) -> &'static str {
    match &action.cause {
        Cause::Missing | Cause::Unfinished => "created",
        Cause::Changed { .. } => "replaced",
        Cause::FilesChanged => "uploaded",
        Cause::Exited(_) => "started",
        Cause::StopWanted => "stopped",
        Cause::Undeclared => match action.steps.iter().any(|step| matches!(step, crate::core::plan::Step::Remove(_))) {
            true => "removed",
            false => "stopped",
        },
        Cause::Superseded => "tidied",
        Cause::Duplicate => "stopped",
        Cause::NotReady(_) => "rolled_back",
        Cause::CrashLoop => "crash_loop",
    }
}

/// Replaces every secret value in a line by its name. Values too short to be told from ordinary words stay.
pub fn redact(line: &str, secrets: &BTreeMap<String, SecretString>) -> String {
    let mut redacted = line.to_owned();
    for (name, value) in secrets.iter().filter(|(_, value)| value.expose_secret().len() >= 6) {
        if redacted.contains(value.expose_secret()) {
            redacted = redacted.replace(value.expose_secret(), &format!("[secret {name}]"));
        }
    }
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_a_log_line_is_replaced_by_its_name() {
        let secrets = BTreeMap::from([("API_KEY".to_owned(), SecretString::from("sk-123456"))]);
        assert_eq!(redact("using sk-123456, ok", &secrets), "using [secret API_KEY], ok");
    }
}
