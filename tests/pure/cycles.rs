//! No circles among files: what two files need of each other belongs into a third. Read from the paths that the sources
//! name. A folder's `mod.rs` and the files below it are one room: what goes on between them is not counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::purity::{code, paths, sources, without_tests};

type Module = Vec<String>;

/// `src/core/plan/mod.rs` is `crate::core::plan`.
fn module(path: &Path) -> Module {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap().with_extension("");
    let mut module = vec!["crate".to_owned()];
    module.extend(below.iter().map(|part| part.to_str().unwrap().to_owned()));
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

/// What a path means that is written in a module; `None` if it leads out of this crate.
fn resolved(path: &str, here: &Module, all: &BTreeSet<Module>) -> Option<Module> {
    let mut parts = path.split("::").map(str::to_owned).peekable();
    let mut module = match parts.peek()?.as_str() {
        "crate" => Vec::new(),
        "self" => {
            parts.next();
            here.clone()
        }
        "super" => here.clone(),
        first => {
            let mut child = here.clone();
            child.push(first.to_owned());
            all.get(&child)?;
            here.clone()
        }
    };
    for part in parts {
        match part.as_str() {
            "super" => drop(module.pop()),
            _ => module.push(part),
        }
    }
    // A path names an item of a module: the longest beginning that is a module is meant.
    while !module.is_empty() && !all.contains(&module) {
        module.pop();
    }
    (!module.is_empty()).then_some(module)
}

fn needs() -> BTreeMap<Module, BTreeSet<Module>> {
    let files: Vec<(Module, String)> = sources("src")
        .into_iter()
        .filter(|(path, _)| !path.ends_with("src/main.rs"))
        .map(|(path, text)| (module(&path), text))
        .collect();
    let all: BTreeSet<Module> = files.iter().map(|(module, _)| module.clone()).collect();
    let one_room = |a: &Module, b: &Module| a.starts_with(b) || b.starts_with(a);
    let of = |(module, text): (Module, String)| {
        let named = paths(&code(without_tests(&text))).into_iter().filter_map(|path| resolved(&path, &module, &all));
        let others = named.filter(|other| !one_room(&module, other)).collect();
        (module, others)
    };
    files.into_iter().map(of).collect()
}

/// Every file that can be reached from one.
fn reached<'a>(from: &'a Module, needs: &'a BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        open.extend(needs[module].iter().filter(|next| seen.insert(*next)));
    }
    seen
}

#[test]
fn no_files_need_each_other_in_a_circle() {
    let needs = needs();
    let known = ["crate", "core", "decide", "plan"].map(str::to_owned).to_vec();
    assert!(needs.values().any(|others| others.contains(&known)), "imports are found at all");
    let circles: Vec<String> = needs
        .keys()
        .filter(|module| reached(module, &needs).contains(module))
        .map(|module| module.join("::"))
        .collect();
    assert!(circles.is_empty(), "these need each other in a circle: {circles:#?}");
}

#[test]
fn a_path_is_read_as_rust_reads_it() {
    let module = |text: &str| text.split("::").map(str::to_owned).collect::<Module>();
    let all: BTreeSet<Module> = ["crate", "crate::a", "crate::a::b", "crate::c"].map(module).into();
    let read = |path: &str| resolved(path, &module("crate::a::b"), &all).map(|module| module.join("::"));
    assert_eq!(read("super::super::c::Thing").as_deref(), Some("crate::c"));
    assert_eq!(read("crate::a::Thing::new").as_deref(), Some("crate::a"));
    assert_eq!(read("std::fs::read"), None);
}
