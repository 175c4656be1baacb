//! What people are told about their manifests: every file in `tests/manifests` with the whole text it is answered with
//! beside it. `REFRESH=1 cargo test --test pure manifests` writes the answers anew; then read each as its user would.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::testkit::{root, site::site};
use agentpod::core::{
    declare::{
        adapter::{self, AdapterFiles, Adapters},
        desired::{self, Desired},
        manifest,
    },
    problem::Problem,
};

/// All files below a folder by their path below it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

fn adapters_of(root: &Path) -> (Adapters, Vec<Problem>) {
    adapter::read(&AdapterFiles { adapters: files(&root.join("adapters")), templates: files(&root.join("templates")) })
}

fn shipped() -> Adapters {
    let (adapters, problems) = adapters_of(root());
    assert_eq!(problems, []);
    adapters
}

/// Reads and builds as a round does; with every problem either finds.
fn build(files: &[(&str, &[u8])], adapters: &Adapters) -> Result<Desired, Vec<Problem>> {
    let (manifests, mut problems) = manifest::read(files.iter().copied());
    let built = desired::build(&manifests, adapters, &site(), &BTreeMap::new(), &BTreeMap::new());
    match built {
        Ok(desired) if problems.is_empty() => Ok(desired),
        Ok(_) => Err(problems),
        Err(found) => {
            problems.extend(found);
            problems.sort();
            problems.dedup();
            Err(problems)
        }
    }
}

#[test]
fn every_invalid_manifest_gets_the_expected_problems() {
    let adapters = shipped();
    let refresh = std::env::var_os("REFRESH").is_some();
    let mut wrong = Vec::new();
    let folder = root().join("tests/manifests");
    let cases: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    for case in cases.iter().filter(|path| path.extension().is_some_and(|end| end == "yaml")) {
        let name = case.file_name().unwrap().to_str().unwrap();
        let problems = build(&[(name, &fs::read(case).unwrap())], &adapters).expect_err(name);
        let answer: String = problems.iter().map(|problem| format!("{problem}\n\n")).collect();
        assert!(!answer.contains("s3cret"), "a secret written into a manifest is never repeated: {answer}");
        assert!(
            problems.iter().all(|problem| problem.hint.is_some()),
            "{name}: every problem says what to do: {answer}"
        );
        let expected = case.with_extension("txt");
        if refresh {
            fs::write(&expected, &answer).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != answer {
            wrong.push(format!("=== {name} is answered with\n{answer}"));
        }
    }
    assert!(cases.len() >= 20, "the cases are there");
    assert!(wrong.is_empty(), "{}\nREFRESH=1 cargo test --test pure manifests writes them anew", wrong.join("\n"));
}

#[test]
fn problems_across_files_name_both_files() {
    let pod = |name: &str| {
        format!(
            "apiVersion: agentpod.dev/v1\nkind: Pod\nmetadata: {{name: {name}, tenant: alice}}\nspec: {{adapter: echo, subdomain: alice}}\n"
        )
    };
    let tenant = "apiVersion: agentpod.dev/v1\nkind: Tenant\nmetadata: {name: alice}\n";
    let (one, two) = (pod("one"), pod("two"));
    let files = [
        ("a/tenant.yaml", tenant),
        ("b/one.yaml", &one),
        ("c/two.yaml", &two),
        ("d/again.yaml", tenant),
        ("e.yaml", "{"),
    ];
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let problems = build(&files, &shipped()).unwrap_err();
    let places: Vec<&str> = problems.iter().map(|problem| problem.file.as_str()).collect();
    assert_eq!(places, ["c/two.yaml", "d/again.yaml", "e.yaml"]);
    assert!(problems[0].hint.as_ref().unwrap().contains("b/one.yaml:4:34"), "{}", problems[0]);
    assert!(problems[1].hint.as_ref().unwrap().contains("a/tenant.yaml:3:18"), "{}", problems[1]);
}

#[test]
fn everything_that_is_shipped_is_valid() {
    let adapters = shipped();
    let manifests = files(&root().join("manifests"));
    let texts: Vec<(&str, &[u8])> = manifests.iter().map(|(name, text)| (name.as_str(), text.as_slice())).collect();
    let desired = build(&texts, &adapters).expect("the shipped manifests have no problem");
    assert!(desired.pods.len() >= 3);
    for (name, adapter) in &adapters.all {
        assert!(!adapter.samples.is_empty(), "the adapter {name} has samples");
        for (file, config) in &adapter.samples {
            sample(&adapters, name.as_str(), config).unwrap_or_else(|problems| panic!("{file}: {problems:?}"));
        }
        // And with nothing but what the adapter says itself.
        sample(&adapters, name.as_str(), &serde_json::Map::new())
            .unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
    }
}

/// Builds one pod with this `config`.
fn sample(
    adapters: &Adapters,
    adapter: &str,
    config: &serde_json::Map<String, serde_json::Value>,
) -> Result<Desired, Vec<Problem>> {
    let header = |kind: &str| format!("apiVersion: agentpod.dev/v1\nkind: {kind}\n");
    let config = serde_json::to_string(config).unwrap();
    let text = format!(
        "{}metadata: {{name: t}}\n---\n{}metadata: {{name: p, tenant: t}}\nspec: {{adapter: {adapter}, subdomain: p, config: {config}}}\n",
        header("Tenant"),
        header("Pod"),
    );
    build(&[("sample.yaml", text.as_bytes())], adapters)
}

const NEW_ADAPTER: &str = r#"
apiVersion: agentpod.dev/v1
kind: Adapter
metadata: {name: parrot, title: Parrot}
spec:
  image: example.com/parrot:1
  user: "1000:1000"
  port: 9000
  data: /data
  resources: {memory: 64Mi}
  environment: {PARROT_URL: "{{ pod.url }}", PARROT_WORD: "{{ config.word }}"}
  files:
    - {template: parrot.toml.j2, path: /config/parrot.toml, format: toml}
  configSchema:
    properties:
      word: {type: string, default: hello, description: What it says.}
  health:
    http: {path: /}
"#;

fn new_adapter(adapter: &str, template: &str) -> (Adapters, Vec<Problem>) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [("adapters/parrot/adapter.yaml", adapter), ("templates/parrot/parrot.toml.j2", template)] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    adapters_of(folder.path())
}

#[test]
fn a_new_kind_of_agent_is_data_and_needs_no_rust() {
    let (adapters, problems) = new_adapter(NEW_ADAPTER, "word = {{ config.word }}\nurl = {{ pod.url }}\n");
    assert_eq!(problems, []);
    let config = serde_json::from_str(r#"{"word": "say \"x\""}"#).unwrap();
    let desired = sample(&adapters, "parrot", &config).unwrap();
    let blueprint = &desired.pods.values().next().unwrap().container.blueprint;
    assert_eq!(blueprint.image, "example.com/parrot:1");
    assert_eq!(blueprint.environment["PARROT_URL"], "https://p.example.com");
    assert_eq!(blueprint.files[0].text, "word = \"say \\\"x\\\"\"\nurl = \"https://p.example.com\"");
    let unknown = sample(&adapters, "parrot", &serde_json::from_str(r#"{"wrod": 1}"#).unwrap()).unwrap_err();
    assert!(unknown[0].to_string().contains("did you mean \"word\"?"), "{}", unknown[0]);
}

#[test]
fn problems_of_an_adapter_have_a_position_and_what_to_do() {
    let cases = [
        (
            "port: 9000",
            "prot: 9000",
            "adapters/parrot/adapter.yaml:8:3: unknown field \"prot\"",
            "did you mean \"port\"?",
        ),
        (
            "name: parrot,",
            "name: budgie,",
            "adapters/parrot/adapter.yaml:4:18: the adapter's name is \"budgie\"",
            "folder",
        ),
        (
            "user: \"1000:1000\"",
            "user: root",
            "adapters/parrot/adapter.yaml:7:9: \"user\" cannot be \"root\"",
            "not root",
        ),
        (
            "parrot.toml.j2",
            "parot.toml.j2",
            "adapters/parrot/adapter.yaml:13:18: there is no template",
            "templates/parrot/",
        ),
        ("{{ pod.url }}", "{{ pod.url", "adapters/parrot/adapter.yaml:11:29: ", "template"),
        (
            "type: string",
            "type: strnig",
            "adapters/parrot/adapter.yaml:14:3: the schema is invalid at /properties/word/type",
            "configSchema",
        ),
        (
            "http: {path: /}",
            "htpt: {path: /}",
            "adapters/parrot/adapter.yaml:18:5: unknown field \"htpt\"",
            "did you mean \"http\"?",
        ),
        ("http: {path: /}", "timeout: 1s", "adapters/parrot/adapter.yaml:", "http"),
    ];
    for (from, to, start, hint) in cases {
        let (_, problems) = new_adapter(&NEW_ADAPTER.replacen(from, to, 1), "word = 1\n");
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let of_it = problems.iter().find(|problem| problem.to_string().starts_with(start));
        let problem = of_it.unwrap_or_else(|| panic!("{to}: {told:#?}"));
        assert!(problem.hint.as_ref().is_some_and(|given| given.contains(hint)), "{to}: {told:#?}");
    }
}

#[test]
fn a_template_that_loops_misspells_or_renders_an_invalid_file_is_a_problem() {
    let cases = [
        (
            "x = 1\n{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
            "templates/parrot/parrot.toml.j2:2:",
            "too many steps",
        ),
        ("x = {{ config.wrod }}", "templates/parrot/parrot.toml.j2:1:", "templates can use"),
        ("x = = 1", "templates/parrot/parrot.toml.j2: the rendered text does not parse", "agentpod render"),
    ];
    for (template, start, hint) in cases {
        let (adapters, problems) = new_adapter(NEW_ADAPTER, template);
        assert_eq!(problems, []);
        let problems = sample(&adapters, "parrot", &serde_json::Map::new()).unwrap_err();
        let told = problems[0].to_string();
        assert!(problems.len() == 1 && told.starts_with(start) && told.contains(hint), "{told}");
    }
}
