//! What an adapter says that its schema cannot check: values that the engine, the system or a browser would refuse or
//! misread later. Everything is reported when the adapter is read, and nothing when a pod starts.

use super::{AbsolutePath, AdapterSpec};
use crate::core::{
    declare::{
        bounds::{self, BoundedSpan},
        document::Document,
    },
    printable,
    problem::Problems,
    quantity::Span,
};

/// The largest user or group ID that Linux takes; the one above means "no change".
const LARGEST_ID: u64 = 4_294_967_294;
/// The system's own folders: nothing can be mounted in them, or over the second kind.
const OFF_LIMITS: [&str; 3] = ["/proc", "/sys", "/dev"];
const NOT_COVERED: [&str; 9] = ["/bin", "/boot", "/etc", "/lib", "/lib64", "/root", "/run", "/sbin", "/usr"];
/// An in-memory folder of no size has no limit.
const LEAST_TMPFS: u64 = 64 << 10;
const MOST_TMPFS: u64 = 64 << 30;
/// The most bytes of a command with its arguments.
const MOST_OF_COMMAND: usize = 64 << 10;
/// The most bytes that Linux takes for one environment variable, its name and `=` included.
pub(crate) const MOST_OF_VARIABLE: usize = 128 << 10;

/// Adds the problems of an adapter.
pub(super) fn check(document: &Document, title: &str, spec: &AdapterSpec, problems: &mut Problems) {
    if title.trim().is_empty() {
        let at = document.root.locate(["metadata", "title"]);
        problems.push(document.problem(at, "\"title\" is blank").hint("write the agent's own name"));
    }
    user(document, &spec.user, problems);
    bounds::resources(document, &["spec", "resources"], &spec.resources, problems);
    bounds::resources(document, &["spec", "minimum"], &spec.minimum, problems);
    spans(document, spec, problems);
    folders(document, spec, problems);
    environment(document, spec, problems);
    commands(document, spec, problems);
    login(document, spec, problems);
}

fn user(document: &Document, user: &str, problems: &mut Problems) {
    let is_id = |text: &str| text.parse::<u64>().is_ok_and(|id| id <= LARGEST_ID);
    if !user.split(':').all(is_id) {
        let at = document.root.locate(["spec", "user"]);
        let what = format!("the user {:?} is not a user and a group of Linux", printable::line(user, 40));
        problems
            .push(document.problem(at, what).hint(format!("write uid:gid, each at most {LARGEST_ID}, like 1000:1000")));
    }
}

fn spans(document: &Document, spec: &AdapterSpec, problems: &mut Problems) {
    let hour = Span::seconds(3_600);
    let health = &spec.health;
    let spans: [(&[&str], Span, Span, Span); 4] = [
        (&["spec", "stopTimeout"], spec.stop_timeout, Span::seconds(0), hour),
        (&["spec", "health", "startup"], health.startup, Span::seconds(1), Span::seconds(24 * 3_600)),
        (&["spec", "health", "interval"], health.interval, Span::seconds(1), hour),
        (&["spec", "health", "timeout"], health.timeout, Span(100), Span::seconds(300)),
    ];
    let valid_for = spec.login.as_ref().and_then(|login| login.valid_for);
    let path: &[&str] = &["spec", "login", "validFor"];
    let valid_for = valid_for.map(|given| (path, given, Span::seconds(1), Span::seconds(30 * 24 * 3_600)));
    for (path, given, least, most) in spans.into_iter().chain(valid_for) {
        let name = match path {
            [.., "stopTimeout"] => "stopTimeout",
            [.., "startup"] => "startup",
            [.., "interval"] => "interval",
            [.., "timeout"] => "timeout",
            _ => "validFor",
        };
        let at = document.root.locate(path.iter().copied());
        bounds::span(document, at, &BoundedSpan { name, given, least, most }, problems);
    }
}

fn folders(document: &Document, spec: &AdapterSpec, problems: &mut Problems) {
    let mut push = |path: &[&str], what: String, hint: &str| {
        problems.push(document.problem(document.root.locate_key(path.iter().copied()), what).hint(hint));
    };
    let is_system = |path: &AbsolutePath| {
        OFF_LIMITS.iter().any(|folder| path.is_below(&AbsolutePath((*folder).into())))
            || NOT_COVERED.contains(&path.0.as_str())
    };
    if is_system(&spec.data) {
        push(
            &["spec", "data"],
            format!("{} is a folder of the system itself", spec.data.0),
            "name the folder that the agent keeps its data in, like /data",
        );
    }
    for (path, size) in &spec.tmpfs {
        let key = ["spec", "tmpfs", path.0.as_str()];
        if is_system(path) && path.0 != "/run" && path.0 != "/root" {
            push(
                &key,
                format!("{} is a folder of the system itself", path.0),
                "name a folder that the agent writes to, like /tmp",
            );
        } else if spec.data.is_below(path) {
            push(&key, format!("{} would hide the data folder {}", path.0, spec.data.0), "name another folder");
        }
        if !(LEAST_TMPFS..=MOST_TMPFS).contains(&size.0) {
            push(
                &key,
                format!("the size of {} is {size}, and must be from 64Ki to 64Gi", path.0),
                "set a size like 64Mi",
            );
        }
    }
    for (index, file) in spec.files.iter().enumerate() {
        let number = index.to_string();
        let key = ["spec", "files", number.as_str(), "path"];
        let folder = AbsolutePath(file.path.parent().to_owned());
        if is_system(&folder) {
            push(
                &key,
                format!("{} is a folder of the system itself", folder.0),
                "use a folder of its own, like /config",
            );
        }
        if spec.tmpfs.contains_key(&folder) {
            push(
                &key,
                format!("{} is a tmpfs, which would hide the file", folder.0),
                "use another folder for the file",
            );
        }
        if spec.files.iter().take(index).any(|other| other.path == file.path) {
            push(&key, format!("{} is rendered twice", file.path.0), "use another path for one of the two");
        }
    }
}

fn environment(document: &Document, spec: &AdapterSpec, problems: &mut Problems) {
    for (name, template) in &spec.environment {
        let at = || document.root.locate_key(["spec", "environment", name]);
        if !is_variable_name(name) {
            let shown = printable::line(name, 60);
            let what = format!("{shown:?} cannot be the name of an environment variable");
            problems.push(document.problem(at(), what).hint("use letters, digits and _, not starting with a digit"));
        }
        if template.contains('\0') {
            let what = format!("the value of {name:?} contains a NUL byte, which no environment variable can hold");
            problems.push(document.problem(at(), what).hint("remove \\0 from the value"));
        }
    }
}

fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 128
        && bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn commands(document: &Document, spec: &AdapterSpec, problems: &mut Problems) {
    let probe = match &spec.health.kind {
        super::ProbeKind::Exec(probe) => Some(probe.command.as_slice()),
        _ => None,
    };
    let commands: [(&[&str], Option<&[String]>); 3] = [
        (&["spec", "command"], spec.command.as_deref()),
        (&["spec", "health", "exec", "command"], probe),
        (&["spec", "login", "exec"], spec.login.as_ref().map(|login| login.exec.as_slice())),
    ];
    for (path, command) in commands.into_iter().filter_map(|(path, command)| Some((path, command?))) {
        let bytes = command.iter().fold(0usize, |sum, word| sum.saturating_add(word.len()));
        let what = match command.first().map(String::as_str) {
            None | Some("") => "the command is empty",
            _ if bytes > MOST_OF_COMMAND => "the command is longer than 64 KiB",
            _ if command.iter().any(|word| word.contains('\0')) => "the command contains a NUL byte",
            _ => continue,
        };
        let at = document.root.locate_key(path.iter().copied());
        problems.push(document.problem(at, what).hint("write the program and its arguments, like [/bin/agent, serve]"));
    }
}

fn login(document: &Document, spec: &AdapterSpec, problems: &mut Problems) {
    let Some(login) = &spec.login else { return };
    if !is_web_link(&login.link) {
        let at = document.root.locate(["spec", "login", "link"]);
        let what = "the login link does not lead to the agent's own page";
        problems.push(
            document
                .problem(at, what)
                .hint("begin it with {{ pod.url }}, like {{ pod.url }}/?ticket={{ ticket | urlencode }}"),
        );
    }
    if !login.pointer.is_empty() && !login.pointer.starts_with('/') {
        let at = document.root.locate(["spec", "login", "pointer"]);
        problems.push(document.problem(at, "\"pointer\" is not a JSON pointer").hint("write it like /url"));
    }
}

/// Whether the template of a link begins with the pod's address, so that it cannot become a script or lead elsewhere.
fn is_web_link(template: &str) -> bool {
    let inside = template.strip_prefix("{{").map(|rest| rest.trim_start_matches('-').trim_start());
    let rest = inside.and_then(|inside| inside.strip_prefix("pod.url"));
    let rest = rest.and_then(|rest| rest.trim_start().trim_start_matches('-').strip_prefix("}}"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#', '{']))
}
