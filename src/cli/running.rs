//! What the daemon on this machine was started with. The one that leads keeps a note of it in its state directory, locked as
//! long as it runs, so that `agentpod plan` and `agentpod validate` mean its manifests and not those of the current folder.
//! What is typed or in the environment of a command wins. The note holds no secrets, and the address of no database.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{File, TryLockError},
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, CommandFactory, Error, ValueHint, parser::ValueSource};
use serde::{Deserialize, Serialize};

use super::{Cli, Command, arguments};
use crate::{config, private_file};

/// The note's name in the state directory.
const NOTE: &str = "daemon.json";
/// The most bytes that are read of it.
const MAX_BYTES: u64 = 1 << 16;
/// Settings that say where this AgentPod is, and so cannot be looked up there, or that hold a password.
const OWN: [&str; 5] = ["state_dir", "database_url", "server", "token_file", "log_format"];
/// Settings of which each replaces the others.
const SOURCES: &str = "git";

/// Settings by their flags, with every path absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Typed(BTreeMap<String, Vec<String>>);

/// The note.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The daemon's process ID.
    process: u32,
    /// What it was started with.
    settings: Typed,
}

/// The note of this process, until it is dropped.
#[derive(Debug)]
pub(crate) struct Announced {
    path: PathBuf,
    /// Locked as long as it is open.
    file: File,
}

impl Drop for Announced {
    fn drop(&mut self) {
        // Another daemon of this folder may have taken over, and have put its own in place.
        let (ours, there) = (self.file.metadata(), std::fs::metadata(&self.path));
        if ours.is_ok_and(|ours| there.is_ok_and(|there| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Notes what this daemon was started with.
pub(crate) fn announce(state: &Path, settings: &Typed) -> Result<Announced> {
    let path = state.join(NOTE);
    let note = Note { process: std::process::id(), settings: settings.clone() };
    let file = private_file::put(&path, &serde_json::to_string_pretty(&note)?, |draft| {
        draft.try_lock().map_err(|error| std::io::Error::other(error.to_string()))
    });
    Ok(Announced { file: file.with_context(|| format!("{} cannot be written", path.display()))?, path })
}

/// The note of a daemon that runs.
fn running(state: &Path) -> Option<Note> {
    let file = File::open(state.join(NOTE)).ok()?;
    // Unlocked, it was left behind by one that was killed.
    let Err(TryLockError::WouldBlock) = file.try_lock_shared() else { return None };
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Parses arguments, and completes them by what the running daemon was started with.
pub(super) fn parse(arguments: Vec<OsString>) -> Result<Cli, Error> {
    let (mut cli, matches) = arguments::parse(&arguments)?;
    if matches!(cli.command, Command::Run) {
        cli.typed = typed(&matches);
        return Ok(cli);
    }
    // These act on their own, or on another machine.
    if matches!(cli.command, Command::Apply { .. } | Command::Settings | Command::Completions { .. })
        || cli.server.server.is_some()
    {
        return Ok(cli);
    }
    let state = cli.settings.state_dir.clone().or_else(|| config::default_state_dir().ok());
    let Some(note) = state.and_then(|state| running(&state)) else { return Ok(cli) };
    let names_source = matches!(&cli.command, Command::Validate { directory: Some(_), .. });
    let missing = missing(&note.settings, &matches, names_source);
    if missing.is_empty() {
        return Ok(cli);
    }
    if matches!(cli.command, Command::Plan { .. } | Command::Validate { .. } | Command::Render { .. }) {
        let words: Vec<String> = missing.iter().map(|(flag, value)| format!("--{flag} {value}")).collect();
        eprintln!("with the settings of the running daemon (process {}): {}", note.process, words.join(" "));
    }
    let added = missing.into_iter().flat_map(|(flag, value)| [format!("--{flag}").into(), value.into()]);
    // Behind the program's name, so that nothing after a `--` is in the way.
    let completed: Vec<OsString> =
        arguments.iter().take(1).cloned().chain(added).chain(arguments.iter().skip(1).cloned()).collect();
    Ok(arguments::parse(&completed)?.0)
}

/// The settings, as flags.
fn flags(matches: &ArgMatches) -> impl Iterator<Item = (Arg, Option<ValueSource>)> {
    let all: Vec<Arg> = Cli::command().get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    all.into_iter().map(|arg| {
        let source = matches.value_source(arg.get_id().as_str());
        (arg, source)
    })
}

fn is_given(source: Option<ValueSource>) -> bool {
    matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// What a command was started with.
fn typed(matches: &ArgMatches) -> Typed {
    let settings =
        flags(matches).filter(|(arg, _)| !OWN.contains(&arg.get_id().as_str())).filter_map(|(arg, source)| {
            let is_path = arg.get_value_hint() == ValueHint::AnyPath;
            // A default path depends on the folder that the daemon was started in; other defaults are everybody's.
            (is_given(source) || (is_path && source.is_some())).then_some(())?;
            let values = matches.get_raw(arg.get_id().as_str())?;
            let values = values.map(|value| match is_path {
                true => std::path::absolute(value).ok()?.into_os_string().into_string().ok(),
                false => value.to_str().map(str::to_owned),
            });
            Some((arg.get_long()?.to_owned(), values.collect::<Option<Vec<String>>>()?))
        });
    Typed(settings.collect())
}

/// What the daemon has and this command was not told, where it makes a difference.
fn missing(theirs: &Typed, matches: &ArgMatches, names_source: bool) -> Vec<(String, String)> {
    let ours = typed(matches);
    let is_source = |flag: &str| flag == "source" || flag.starts_with(SOURCES);
    let given: Vec<Arg> = flags(matches).filter(|(_, source)| is_given(*source)).map(|(arg, _)| arg).collect();
    let given: Vec<&str> = given.iter().filter_map(Arg::get_long).collect();
    let has_source = names_source || given.iter().any(|flag| is_source(flag));
    let known: Vec<String> = flags(matches).filter_map(|(arg, _)| arg.get_long().map(str::to_owned)).collect();
    (theirs.0.iter())
        .filter(|(flag, values)| known.contains(flag) && ours.0.get(*flag) != Some(*values))
        .filter(|(flag, _)| !(given.contains(&flag.as_str()) || has_source && is_source(flag)))
        .flat_map(|(flag, values)| values.iter().map(|value| (flag.clone(), value.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(typed: &str) -> ArgMatches {
        let arguments: Vec<OsString> = format!("agentpod {typed}").split(' ').map(OsString::from).collect();
        arguments::parse(&arguments).unwrap().1
    }

    fn told(daemon: &str, command: &str) -> String {
        let missing = missing(&typed(&matches(daemon)), &matches(command), false);
        missing.into_iter().map(|(flag, value)| format!("{flag}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_command_takes_over_what_the_daemon_was_told_and_it_was_not() {
        let daemon = "run --source /srv/manifests --domain example.com --trusted-proxy 10.0.0.1,10.0.0.2";
        assert_eq!(
            told(daemon, "plan"),
            "domain=example.com source=/srv/manifests trusted-proxy=10.0.0.1 trusted-proxy=10.0.0.2"
        );
        assert_eq!(told(daemon, "plan --domain a.example --trusted-proxy 10.0.0.1,10.0.0.2"), "source=/srv/manifests");
        assert_eq!(told("run", "plan"), "", "the same folder, the same defaults");
    }

    #[test]
    fn a_source_that_was_typed_is_not_overridden_by_the_daemons_repository() {
        let daemon = "run --git https://h.example/r.git --git-branch main --domain example.com";
        assert_eq!(told(daemon, "plan --source here"), "domain=example.com");
        assert!(
            told(daemon, "plan").contains("git=https://h.example/r.git git-branch=main"),
            "{}",
            told(daemon, "plan")
        );
    }

    #[test]
    fn what_holds_a_password_is_not_noted() {
        let noted = typed(&matches("run --database-url postgres://u:s3cret@h/d --state-dir /s --log-format json"));
        assert!(!format!("{noted:?}").contains("s3cret"), "{noted:?}");
        assert!(noted.0.keys().all(|flag| !["database-url", "state-dir", "log-format"].contains(&flag.as_str())));
    }

    #[test]
    fn only_the_note_of_a_daemon_that_runs_counts() {
        let state = tempfile::tempdir().unwrap();
        let settings = typed(&matches("run --domain example.com"));
        assert!(running(state.path()).is_none());
        let announced = announce(state.path(), &settings).unwrap();
        assert_eq!(running(state.path()).unwrap().settings, settings);
        let successor = announce(state.path(), &settings).unwrap();
        drop(announced);
        assert!(running(state.path()).is_some(), "the note of the one that took over stays");
        drop(successor);
        assert!(running(state.path()).is_none() && !state.path().join(NOTE).exists());
        std::fs::write(state.path().join(NOTE), serde_json::to_string(&Note { process: 1, settings }).unwrap())
            .unwrap();
        assert!(running(state.path()).is_none(), "left behind by one that was killed");
    }
}
