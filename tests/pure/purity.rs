//! The house rules that no compiler checks, read from the sources: the core stays pure, files stay short, and every
//! file says what it is for. Clippy's `disallowed-methods` cannot say the first: it holds for a whole crate, and the
//! edges of this one must read the clock.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What the core may use besides itself: data in, data out.
const CRATES: [&str; 20] = [
    "std",
    "serde",
    "serde_json",
    "serde_yaml",
    "granit_parser",
    "yaml_edit",
    "json5",
    "toml",
    "schemars",
    "jsonschema",
    "minijinja",
    "thiserror",
    "time",
    "ring",
    "base64",
    "form_urlencoded",
    "percent_encoding",
    "strsim",
    "ipnet",
    "hex",
];
/// The parts of those that reach outside: files, environment, network, clock, randomness, threads.
const OUTSIDE: [&str; 11] = [
    "std::fs",
    "std::env",
    "std::io",
    "std::process",
    "std::thread",
    "std::os",
    "std::time::SystemTime",
    "std::time::Instant",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "ring::rand",
];
/// Words that give a clock away, whatever they are called on.
const CLOCKS: [&str; 4] = ["now_utc", "now_local", "SystemTime", "Instant"];
/// The longest a file may be, tests excluded.
const MOST_LINES: usize = 400;

pub(crate) fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                all.push((path, text));
            }
        }
    }
    assert!(!all.is_empty(), "no sources below {folder}");
    all
}

/// A source without its tests: they are the module at its end. A declaration like `#[cfg(test)] mod samples;` further up
/// cuts nothing off.
pub(crate) fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

/// The code without comments, texts and characters, none of which can reach outside.
pub(crate) fn code(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = hashes + 2;
            if rest[1 + hashes..].starts_with('"') {
                rest[begin..].find(&end).map_or(rest.len(), |at| begin + at + end.len())
            } else {
                0
            }
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |at| at + 2)
        } else if rest.starts_with("'\"'") {
            3
        } else {
            0
        };
        let step = if skipped == 0 { first.len_utf8() } else { skipped };
        code.push_str(if skipped == 0 { &rest[..step] } else { " " });
        rest = &rest[step..];
    }
    code
}

/// Every path in a piece of code, with the branches of `use a::{b, c::d}` spelled out.
pub(crate) fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut stack: Vec<String> = Vec::new();
    let mut path = String::new();
    for token in tokens(code) {
        match token.as_str() {
            "::" => path.push_str("::"),
            "{" => stack.push(std::mem::take(&mut path)),
            "}" => {
                found.push(spelled_out(&stack, &path));
                path.clear();
                stack.pop();
            }
            word if word.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && (path.is_empty() || path.ends_with("::")) =>
            {
                path.push_str(word);
            }
            word => {
                found.push(spelled_out(&stack, &path));
                path = if word.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                    word.to_owned()
                } else {
                    String::new()
                };
            }
        }
    }
    found.retain(|path| path.contains("::"));
    found
}

/// What stands before a brace belongs to what is inside only when it ends in `::`.
fn spelled_out(stack: &[String], path: &str) -> String {
    let first = stack.iter().rposition(|part| !part.ends_with("::")).map_or(0, |at| at + 1);
    format!("{}{path}", stack[first..].concat())
}

fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut characters = code.chars().peekable();
    while let Some(c) = characters.next() {
        if c.is_alphanumeric() || c == '_' {
            let mut word = c.to_string();
            while let Some(more) = characters.next_if(|c| c.is_alphanumeric() || *c == '_') {
                word.push(more);
            }
            tokens.push(word);
        } else if c == ':' && characters.next_if_eq(&':').is_some() {
            tokens.push("::".into());
        } else if !c.is_whitespace() {
            tokens.push(c.into());
        }
    }
    tokens
}

/// What is impure in a source of the core.
fn impurities(text: &str) -> Vec<String> {
    let code = code(text);
    let paths = paths(&code);
    let below = |path: &str, outer: &str| {
        path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let outside = paths.iter().filter(|path| OUTSIDE.iter().any(|outside| below(path, outside))).cloned();
    let edges = paths.iter().filter(|path| path.starts_with("crate::") && !below(path, "crate::core")).cloned();
    let clocks = tokens(&code).into_iter().filter(|token| CLOCKS.contains(&token.as_str()));
    outside.chain(edges).chain(clocks).chain(foreign_crates(&code)).collect()
}

/// Dependencies that are named and not on the list. What is no dependency does not compile anyway.
fn foreign_crates(code: &str) -> Vec<String> {
    let dependencies = dependencies();
    let tokens = tokens(code);
    let named = |at: usize| (at == 0 || tokens[at - 1] != "::") && tokens.get(at + 1).is_some_and(|next| next == "::");
    let foreign = |token: &String| dependencies.contains(token) && !CRATES.contains(&token.as_str());
    tokens
        .iter()
        .enumerate()
        .filter(|(at, token)| named(*at) && foreign(token))
        .map(|(_, token)| token.clone())
        .collect()
}

/// The names of our dependencies, as code spells them.
fn dependencies() -> Vec<String> {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let names = manifest.lines().filter_map(|line| Some(line.split_once(" = ")?.0));
    names
        .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[test]
fn the_core_reaches_nothing_outside() {
    let found: Vec<String> = sources("src/core")
        .into_iter()
        .flat_map(|(path, text)| impurities(&text).into_iter().map(move |what| format!("{}: {what}", path.display())))
        .collect();
    assert!(found.is_empty(), "src/core must stay pure:\n{}", found.join("\n"));
}

#[test]
fn the_check_sees_what_it_should_and_nothing_else() {
    let cases: [(&str, &[&str]); 12] = [
        ("use tokio::sync::mpsc;", &["tokio"]),
        ("use std::{collections::BTreeMap, fs::{self, File}};", &["std::fs::self", "std::fs::File"]),
        ("fn a() { let home = std::env::var(\"HOME\"); }", &["std::env::var"]),
        ("use std::time::{Duration, Instant};", &["std::time::Instant", "Instant"]),
        ("let now = time::OffsetDateTime::now_utc();", &["now_utc"]),
        ("let x = ring::rand::SystemRandom::new();", &["ring::rand::SystemRandom::new"]),
        ("use crate::{core::names::PodId, engine::Engine};", &["crate::engine::Engine"]),
        ("fn a() { tracing::info!(\"x\"); }", &["tracing"]),
        ("// tokio::spawn\n/// std::fs\nlet a = \"std::fs \\\" tokio::\"; let b = r#\"now_utc\"#;", &[]),
        ("use super::{names::PodId, digest};\nuse crate::core::labels;", &[]),
        ("match self { Self::A { fs } => fs, std::fmt::Alignment::Left => {} }", &[]),
        ("struct A { env: Option<String> } impl A { fn io(&self) { self.env.clone(); } }", &[]),
    ];
    for (code, expected) in cases {
        assert_eq!(impurities(code), expected, "{code}");
    }
}

#[test]
fn no_source_file_is_longer_than_can_be_read_at_one_go() {
    for (path, text) in sources("src") {
        let lines = without_tests(&text).lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines without its tests; split it", path.display());
    }
}

#[test]
fn every_source_file_says_first_what_it_is_for() {
    for (path, text) in sources("src") {
        assert!(text.starts_with("//! "), "{} does not begin with //! and a sentence", path.display());
    }
}

#[test]
fn nothing_is_printed_in_a_way_that_ends_the_program_when_the_reader_is_gone() {
    for (path, text) in sources("src") {
        let printed = tokens(&code(&text))
            .windows(2)
            .any(|pair| matches!(pair[0].as_str(), "println" | "print") && pair[1] == "!");
        assert!(!printed, "{}: println! panics on a closed pipe; use cli::output", path.display());
    }
}

/// Other engines can stand in Docker's place: nobody but the engine's own folder knows which one it is, or looks for a
/// container's address.
#[test]
fn nothing_outside_the_engine_names_docker_or_looks_for_an_address() {
    let is_engine = |file: &Path| file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().starts_with("src/engine");
    let mut found = Vec::new();
    for (file, text) in sources("src").into_iter().filter(|(file, _)| !is_engine(file)) {
        for token in tokens(&code(without_tests(&text))) {
            // Only what observes a container may hold its addresses.
            let is_observed = file.ends_with("src/core/observe/actual.rs") || file.ends_with("hardening/samples.rs");
            if ["Docker", "bollard"].contains(&token.as_str()) || (token == "addresses" && !is_observed) {
                found.push(format!("{}: {token}", file.display()));
            }
        }
    }
    let commands = ["docker stop", "docker unpause", "docker volume", "docker network", "docker ps", "docker image"];
    for (file, text) in sources("src").into_iter().filter(|(file, _)| !is_engine(file)) {
        let named = commands.into_iter().find(|command| without_tests(&text).contains(command));
        found.extend(
            named
                .filter(|_| !file.ends_with("engine_commands.rs"))
                .map(|command| format!("{}: {command}", file.display())),
        );
    }
    assert!(found.is_empty(), "only src/engine may know the engine:\n{}", found.join("\n"));
}
