//! The documents hold: links lead somewhere, files and commands they name exist, decisions are numbered without a hole, and
//! the README stays one page.

use crate::testkit::{root, site::shipped};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

/// The longest the README may be, in lines.
const README_LINES: usize = 150;
/// Folders whose files documents name by path.
const NAMED: [&str; 7] = ["src/", "deploy/", "docs/", "adapters/", "templates/", "manifests/", "tests/"];

/// Every document by its path below the root.
fn documents() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = folder.join(&name);
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if name.ends_with(".md") {
                let path = path.to_str().unwrap().to_owned();
                let text = shipped(&path);
                all.insert(path, text);
            }
        }
    }
    assert!(all.contains_key("README.md") && all.contains_key("docs/README.md"), "{:?}", all.keys());
    all
}

/// Lines with their numbers.
type Lines = Vec<(usize, String)>;

/// A document's prose and its code. Code is what is in a fenced block or in backticks.
fn split(text: &str) -> (Lines, Lines) {
    let (mut prose, mut code) = (Vec::new(), Vec::new());
    let mut fenced = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            code.push((number, line.to_owned()));
        } else {
            let mut words = String::new();
            for (index, part) in line.split('`').enumerate() {
                match index % 2 {
                    0 => words.push_str(part),
                    _ => code.push((number, part.to_owned())),
                }
            }
            prose.push((number, words));
        }
    }
    assert!(!fenced, "a fenced block does not end");
    (prose, code)
}

/// Where a line's links lead.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

/// The anchors of a document's headings, as forges make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let Some(heading) = line.strip_prefix('#').filter(|_| !fenced) else { continue };
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let repeated = (1..).map(|number| format!("{anchor}-{number}"));
        let free = std::iter::once(anchor.clone()).chain(repeated).find(|anchor| !all.contains(anchor));
        all.extend(free);
    }
    all
}

/// `../x` from a document, as a path below the root; `None` if it leads out of the project.
fn resolve(document: &str, target: &str) -> Option<PathBuf> {
    let mut path = Path::new(document).parent()?.to_owned();
    for component in Path::new(target).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => path.pop().then_some(())?,
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

#[test]
fn every_link_in_every_document_leads_somewhere() {
    let documents = documents();
    let mut broken = Vec::new();
    let mut count = 0;
    for (document, text) in &documents {
        for (number, line) in split(text).0 {
            for target in links(&line).filter(|target| !target.contains("://") && !target.starts_with("mailto:")) {
                count += 1;
                let (path, anchor) = target.split_once('#').map_or((target, None), |(path, at)| (path, Some(at)));
                let path = if path.is_empty() { Some(PathBuf::from(document)) } else { resolve(document, path) };
                let there = path.as_ref().filter(|path| root().join(path).exists());
                let heading = |path: &PathBuf, anchor: &str| {
                    documents.get(path.to_str().unwrap()).is_some_and(|text| anchors(text).contains(anchor))
                };
                if there.is_none_or(|path| anchor.is_some_and(|anchor| !heading(path, anchor))) {
                    broken.push(format!("{document}:{number}: {target}"));
                }
            }
        }
    }
    assert!(count > 50, "only {count} links were found");
    assert!(broken.is_empty(), "these links lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn every_file_that_a_document_names_exists() {
    let mut missing = Vec::new();
    let mut count = 0;
    for (document, text) in documents() {
        for (number, code) in split(&text).1 {
            let words = code.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '(' | ')' | ',' | ';'));
            for word in words.filter(|word| NAMED.iter().any(|folder| word.starts_with(folder))) {
                // What stands for a name, like NAME, TENANT/POD, * or {tenant}, is no file.
                let is_pattern = word.contains(['*', '{', '<', '…', '$'])
                    || word.split('/').any(|part| part.len() > 1 && part.chars().all(|c| c.is_ascii_uppercase()));
                if is_pattern {
                    continue;
                }
                count += 1;
                if !root().join(word.trim_end_matches(['.', ':'])).exists() {
                    missing.push(format!("{document}:{number}: {word}"));
                }
            }
        }
    }
    assert!(count > 20, "only {count} files were found");
    assert!(missing.is_empty(), "these files do not exist:\n{}", missing.join("\n"));
}

#[test]
fn every_module_that_a_document_names_exists() {
    let mut missing = Vec::new();
    let mut count = 0;
    for (document, text) in documents() {
        for (number, code) in split(&text).1 {
            let Some((top, _)) = code.split_once("::").filter(|_| !code.contains(|c: char| c.is_whitespace())) else {
                continue;
            };
            if !root().join("src").join(top).is_dir() {
                continue;
            }
            count += 1;
            // What begins with a capital, like `source::Watch`, is a type within the module before it.
            let modules = code.split("::").take_while(|part| part.starts_with(|c: char| c.is_ascii_lowercase()));
            let path = modules.fold(root().join("src"), |path, part| path.join(part));
            if !path.is_dir() && !path.with_extension("rs").is_file() {
                missing.push(format!("{document}:{number}: {code}"));
            }
        }
    }
    assert!(count > 5, "only {count} modules were found");
    assert!(missing.is_empty(), "these modules do not exist:\n{}", missing.join("\n"));
}

#[test]
fn every_make_target_that_a_document_names_exists() {
    let makefile = shipped("Makefile");
    let is_target = |name: &str| makefile.lines().any(|line| line.starts_with(&format!("{name}:")));
    let mut missing = Vec::new();
    for (document, text) in documents() {
        for (number, code) in split(&text).1 {
            let target = code.trim_start().strip_prefix("make ").and_then(|rest| rest.split_whitespace().next());
            if let Some(target) = target.filter(|target| !is_target(target)) {
                missing.push(format!("{document}:{number}: make {target}"));
            }
        }
    }
    assert!(missing.is_empty(), "these are not in the Makefile:\n{}", missing.join("\n"));
}

#[test]
fn the_readme_is_short_and_says_how_the_tests_are_run() {
    let readme = shipped("README.md");
    let lines = readme.lines().count();
    assert!(
        lines <= README_LINES,
        "README.md has {lines} lines, more than {README_LINES}: move what is too much to docs/"
    );
    let command = "make test";
    assert!(split(&readme).1.iter().any(|(_, code)| code.starts_with(command)), "README.md does not say `{command}`");
    assert!(shipped(".ci/run").contains(command), ".ci/run runs something else than the README's `{command}`");
}

#[test]
fn decisions_are_numbered_without_a_hole_and_each_is_in_the_index() {
    let mut files: Vec<String> = documents()
        .into_keys()
        .filter_map(|path| path.strip_prefix("docs/decisions/").map(str::to_owned))
        .filter(|file| file != "README.md")
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut expected = Vec::new();
    for (number, file) in (1..).zip(&files) {
        let digits = format!("{number:04}");
        assert!(file.starts_with(&format!("{digits}-")), "{file} should be decision {digits}");
        let text = shipped(&format!("docs/decisions/{file}"));
        let title = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default();
        assert!(title.starts_with(&format!("{digits} ")), "{file} begins with {title:?}, not with # {digits}");
        expected.push(format!("- [{title}]({file})"));
    }
    let index = shipped("docs/decisions/README.md");
    let listed: Vec<&str> = index.lines().filter(|line| line.starts_with("- [")).collect();
    assert_eq!(listed, expected, "docs/decisions/README.md lists every decision, in order, by its title");
}

#[test]
fn the_manual_has_an_index_of_all_its_pages() {
    let index = shipped("docs/README.md");
    let listed: BTreeSet<&str> = index.lines().flat_map(links).collect();
    for document in documents().into_keys() {
        if let Some(page) = document.strip_prefix("docs/").filter(|page| !page.contains('/') && *page != "README.md") {
            assert!(listed.contains(page), "docs/README.md does not list {page}");
        }
    }
}
