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
        Cause::Exited(_) | Cause::GoingBack(_) => "started",
        Cause::OffNetwork(_) => "reconnected",
        Cause::StopWanted => "stopped",
        Cause::Undeclared => match action.steps.iter().any(|step| matches!(step, crate::core::plan::Step::Remove(_))) {
            true => "removed",
            false => "stopped",
        },
        Cause::Superseded | Cause::Rejected => "tidied",
        Cause::Duplicate => "stopped",
        Cause::NotReady(_) => "rolled_back",
        Cause::CrashLoop => "crash_loop",
    }
}

/// Replaces every secret value in a line by its name. Values too short to be told from ordinary words stay.
pub fn redact(line: &str, secrets: &BTreeMap<String, SecretString>) -> String {
    let mut redacted = line.to_owned();
    for (name, value) in secrets {
        // A log has lines, and programs quote what they print: each line of a value is looked for, plain and escaped.
        for part in value.expose_secret().lines().filter(|part| part.len() >= 6) {
            for form in [part.to_owned(), part.escape_debug().to_string(), part.escape_default().to_string()] {
                redacted = redacted.replace(&form, &format!("[secret {name}]"));
            }
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
        let lines = BTreeMap::from([("PEM".to_owned(), SecretString::from("first-line\nsecond\"line"))]);
        assert_eq!(
            redact(r#"bad key: "first-line\nsecond\"line""#, &lines),
            r#"bad key: "[secret PEM]\n[secret PEM]""#
        );
        assert_eq!(redact("first-line", &lines), "[secret PEM]");
    }
}
