//! Every kind of event is one that AgentPod writes, and one that a test has seen written.

use std::{fs, path::Path};

use agentpod::core::event::EventKind;

/// The text of every Rust file below a folder.
fn sources(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("core/event.rs") {
            all += &fs::read_to_string(&path).unwrap();
        }
    }
    all
}

#[test]
fn every_kind_of_event_is_emitted_somewhere_and_covered_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (program, tests) = (sources(&root.join("src")), sources(&root.join("tests")));
    let named = |text: &str, kind: EventKind| {
        let variant = format!("EventKind::{kind:?}");
        text.match_indices(&variant).any(|(at, _)| {
            let next = text[at + variant.len()..].chars().next();
            !next.is_some_and(char::is_alphanumeric)
        })
    };
    let unwritten: Vec<_> = EventKind::ALL.iter().filter(|kind| !named(&program, **kind)).collect();
    assert!(unwritten.is_empty(), "nothing writes these events: {unwritten:?}");
    let seen = |kind: EventKind| named(&tests, kind) || tests.contains(&format!("\"{kind}\""));
    let unseen: Vec<_> = EventKind::ALL.iter().filter(|kind| !seen(**kind)).collect();
    assert!(unseen.is_empty(), "no test looks for these events: {unseen:?}");
}
