//! What the fuzzers were given and found, through the same functions: nothing of it may panic. `make fuzz` looks for more.

use agentpod::core; // where the targets look for it

#[path = "../../fuzz/src/targets.rs"]
mod targets;

/// Every file of a target's corpus, by name; answers how many there are and which of them come through.
fn replay(target: &str, run: fn(&[u8]) -> bool) -> (usize, Vec<String>) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let good = names.iter().filter(|path| run(&std::fs::read(path).unwrap()));
    (names.len(), good.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect())
}

#[test]
fn the_corpus_of_manifests_goes_through_without_a_panic_and_reaches_a_pod() {
    let (all, good) = replay("manifest", targets::manifest);
    assert!(all >= 25, "{all} files are few");
    assert!(good.iter().any(|name| name == "shipped-alice.yaml"), "{good:?}");
    assert!(good.len() * 2 < all, "most of them are wrong: {good:?}");
}

#[test]
fn the_corpus_of_adapters_goes_through_without_a_panic_and_reaches_a_pod() {
    let (all, good) = replay("adapter", targets::adapter);
    assert!(all >= 12, "{all} files are few");
    assert!(good.iter().any(|name| name == "shipped-echo"), "{good:?}");
    assert!(good.len() * 2 < all, "most of them are wrong: {good:?}");
}

#[test]
fn the_corpus_of_deliveries_goes_through_without_a_panic_and_wakes() {
    let (all, good) = replay("webhook", targets::webhook);
    assert!(all >= 9, "{all} files are few");
    for forge in ["github", "github-form", "gitea", "forgejo", "gitlab"] {
        assert!(good.iter().any(|name| name == forge), "{forge} does not wake: {good:?}");
    }
    assert!(!good.iter().any(|name| ["wrong", "elsewhere", "github-ping"].contains(&name.as_str())), "{good:?}");
}
