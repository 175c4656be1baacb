//! How arguments are parsed and explained. `agentpod CMD --help` shows the command's own options; the settings, which every
//! command takes, are under `agentpod help settings`. A mistyped option is compared with the command's own options first, and
//! a command that AgentPod does not have is answered with what to do instead. It runs nothing.

use std::ffi::OsString;

use clap::{
    ArgMatches, Command, CommandFactory, Error, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::Cli;
use crate::core::problem::nearest;

/// Below the help of every command.
const MORE: &str = "Settings that every command takes, such as --state-dir and --server: agentpod help settings";

/// Commands that people look for here, and what to do instead.
const INSTEAD: [(&[&str], &str); 12] = [
    (
        &["stop", "down", "kill"],
        "to stop a pod for a while, use agentpod pause TENANT/POD; to stop it for good, set state: stopped in its manifest",
    ),
    (
        &["start", "up"],
        "to start a paused pod, use agentpod resume TENANT/POD; to start a stopped one, remove state: stopped from its \
         manifest. The daemon itself is agentpod run",
    ),
    (
        &["delete", "remove", "rm", "destroy"],
        "take the pod out of the manifests: AgentPod then stops and removes its container. Its data stay until agentpod purge \
         TENANT/POD",
    ),
    (
        &["exec", "shell", "ssh", "attach"],
        "AgentPod opens no shell in an agent; on its machine use docker exec -it CONTAINER sh, with the container that agentpod \
         describe TENANT/POD names",
    ),
    (&["version"], "use agentpod --version"),
    (
        &["create", "add", "new"],
        "write a manifest into the source; agentpod schema describes it, agentpod validate checks it",
    ),
    (
        &["list", "ls", "ps", "get", "pods"],
        "use agentpod status for the pods, and agentpod tenants or agentpod adapters",
    ),
    (&["inspect", "show", "top"], "use agentpod describe TENANT/POD"),
    (
        &["rollback", "undo"],
        "take the change back in the manifests; agentpod revisions lists the earlier states, agentpod diff compares them",
    ),
    (&["login", "connect"], "agentpod open TENANT/POD prints a login link for an agent"),
    (&["config", "set", "options"], "settings are flags and environment variables; agentpod help settings lists them"),
    (
        &["update", "upgrade", "scale"],
        "change the pod in its manifest; AgentPod does the rest. agentpod plan shows what",
    ),
];

/// Parses the arguments. Help, and mistakes with what to do about them, are errors that clap prints.
pub(super) fn parse(arguments: &[OsString]) -> Result<(Cli, ArgMatches), Error> {
    let mut command = command();
    let parsed = command.try_get_matches_from_mut(arguments);
    let parsed = parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    parsed.map_err(|error| explained(error, &command, arguments))
}

/// The command line, with the settings out of the way of each command's own options.
fn command() -> Command {
    let mut command = Cli::command();
    command.build();
    without_settings(command)
}

fn without_settings(command: Command) -> Command {
    if command.get_name() == "settings" {
        return command;
    }
    let command = command.after_help(MORE).mut_args(|arg| match arg.is_global_set() {
        true => arg.hide(true),
        false => arg,
    });
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let own = names.into_iter().filter(|name| name != "help");
    own.fold(command, |command, name| command.mut_subcommand(name, without_settings))
}

/// What `agentpod help settings` prints.
pub(super) fn settings_help() -> String {
    let mut command = command();
    command.find_subcommand_mut("settings").map_or_else(String::new, |settings| settings.render_long_help().to_string())
}

/// Replaces clap's guesses by better ones.
fn explained(mut error: Error, command: &Command, arguments: &[OsString]) -> Error {
    let (place, is_root) = place(command, arguments);
    match (error.kind(), error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidSubcommand)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(typed)), _) => {
            let found = similar(place, typed.split('=').next().unwrap_or_default());
            error.remove(ContextKind::SuggestedArg);
            if let Some(found) = found {
                error.insert(ContextKind::SuggestedArg, ContextValue::String(found));
            }
            error
        }
        (ErrorKind::InvalidSubcommand, _, Some(ContextValue::String(typed))) if is_root => {
            match INSTEAD.iter().find(|(names, _)| names.contains(&typed.as_str())) {
                Some((_, instead)) => command
                    .clone()
                    .error(ErrorKind::InvalidSubcommand, format!("there is no command {typed}: {instead}")),
                None => error,
            }
        }
        _ => error,
    }
}

/// The command that the arguments name, and whether it is AgentPod itself.
fn place<'a>(command: &'a Command, arguments: &[OsString]) -> (&'a Command, bool) {
    let words = arguments.iter().skip(1).filter_map(|word| word.to_str());
    words.fold((command, true), |(at, is_root), word| match at.find_subcommand(word) {
        Some(sub) => (sub, false),
        None => (at, is_root),
    })
}

/// The option that is probably meant: one of the command's own, or else a setting.
fn similar(place: &Command, typed: &str) -> Option<String> {
    let typed = typed.trim_start_matches('-');
    let longs = |settings: bool| {
        place.get_arguments().filter(move |arg| arg.is_global_set() == settings).filter_map(|arg| arg.get_long())
    };
    nearest(typed, longs(false)).or_else(|| nearest(typed, longs(true))).map(|long| format!("--{long}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(typed: &str) -> String {
        let arguments: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
        let error = parse(&arguments).err().unwrap_or_else(|| panic!("{typed} was taken"));
        error.to_string()
    }

    fn each(command: &Command, path: &str, visit: &mut impl FnMut(&str, &Command)) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = format!("{path} {}", sub.get_name());
            visit(&path, sub);
            each(sub, &path, visit);
        }
    }

    #[test]
    fn the_help_of_a_command_shows_its_own_options_and_where_the_settings_are() {
        let mut longest = (0, String::new());
        each(&command(), "agentpod", &mut |path, sub| {
            if sub.get_name() == "settings" {
                return;
            }
            let help = said(&format!("{path} --help"));
            assert!(!help.contains("--state-dir <") && !help.contains("--git-branch"), "{path}:\n{help}");
            assert!(help.contains(MORE), "{path}:\n{help}");
            longest = longest.clone().max((help.lines().count(), path.to_owned()));
        });
        assert!(longest.0 < 80, "{longest:?}");
        let own = said("agentpod events --help");
        assert!(own.contains("--watch") && own.contains("--output"), "{own}");
        let whole = said("agentpod --help");
        assert!(whole.contains("  status ") && !whole.contains("--domain") && whole.contains(MORE), "{whole}");
    }

    #[test]
    fn help_settings_explains_every_setting() {
        let help = said("agentpod help settings");
        for arg in Cli::command().get_arguments().filter(|arg| arg.is_global_set()) {
            let long = arg.get_long().unwrap();
            assert!(help.contains(&format!("--{long} ")), "--{long} is missing in\n{help}");
        }
        assert!(!help.contains(MORE), "{help}");
    }

    #[test]
    fn a_mistyped_option_is_compared_with_the_commands_own_first() {
        for (typed, hint) in [
            ("agentpod status --outptu json", "'--output'"),
            ("agentpod events --wach", "'--watch'"),
            ("agentpod events --limt=3", "'--limit'"),
            ("agentpod token rotate a/b --yess", "'--yes'"),
            ("agentpod plan --sourc x", "'--source'"),
        ] {
            let text = said(typed);
            assert!(text.contains(hint), "{typed}: {text}");
        }
        // Nothing of its own is near, and no setting is guessed.
        let text = said("agentpod status --nonsense");
        assert!(!text.contains("similar"), "{text}");
    }

    #[test]
    fn a_command_that_does_not_exist_is_answered_with_what_to_do_instead() {
        for (typed, part) in [
            ("agentpod stop alice/a", "agentpod pause"),
            ("agentpod start alice/a", "agentpod resume"),
            ("agentpod delete alice/a", "agentpod purge"),
            ("agentpod exec alice/a sh", "docker exec"),
            ("agentpod version", "agentpod --version"),
        ] {
            let text = said(typed);
            assert!(text.contains(part) && text.contains("there is no command"), "{typed}: {text}");
        }
        assert!(said("agentpod statsu").contains("'status'"));
        each(&command(), "agentpod", &mut |path, _| {
            let clash = INSTEAD.iter().any(|(names, _)| names.iter().any(|name| path == format!("agentpod {name}")));
            assert!(!clash, "{path} exists");
        });
    }

    #[test]
    fn every_confirmation_can_be_given_as_a_flag_of_one_name() {
        each(&command(), "agentpod", &mut |path, sub| {
            for arg in sub.get_arguments().filter(|arg| arg.get_long() == Some("yes") || arg.get_short() == Some('y')) {
                assert_eq!((arg.get_long(), arg.get_short()), (Some("yes"), Some('y')), "{path}");
            }
        });
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
