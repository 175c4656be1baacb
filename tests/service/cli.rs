//! The command line: its output and exit codes. No engine is needed.

use std::{fs, path::Path, process::Command};

use crate::testkit::{
    self,
    command::{self, Said},
    files::{open_folder, write},
};

const POD: &str = "apiVersion: agentpod.dev/v1\nkind: Tenant\nmetadata: {name: alice}\n---\napiVersion: agentpod.dev/v1\nkind: Pod\n\
                   metadata: {name: a, tenant: alice}\nspec:\n  adapter: echo\n  subdomain: alice\n  secrets: {KEY: {env: AGENTPOD_SECRET_TEST}}\n";

fn agentpod(arguments: &[&str]) -> Command {
    let mut command = testkit::agentpod();
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Said { code, out, err } = command::run(&mut agentpod(arguments), "");
    (Some(code), out, err)
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = open_folder();
    write(folder.path(), files);
    folder
}

fn path(folder: &Path) -> &str {
    folder.to_str().unwrap()
}

#[test]
fn validate_succeeds_with_exit_code_0() {
    let (code, out, _) = run(&["validate"]);
    assert_eq!((code, out.as_str()), (Some(0), "4 files, no problems\n"));
}

#[test]
fn a_count_of_one_is_singular() {
    let one = folder(&[("a.yaml", POD)]);
    assert_eq!(run(&["validate", path(one.path())]).1, "1 file, no problems\n");
}

#[test]
fn a_mistake_in_a_template_is_one_problem_for_all_pods_it_is_rendered_for() {
    let adapter = fs::read_to_string("adapters/echo/adapter.yaml").unwrap();
    let pods: String = ["b", "c", "d"]
        .map(|name| {
            format!("---\n{}", POD.split("---\n").nth(1).unwrap())
                .replace("name: a,", &format!("name: {name},"))
                .replace("subdomain: alice", &format!("subdomain: {name}"))
        })
        .concat();
    let place = folder(&[
        ("manifests/a.yaml", &format!("{POD}{pods}")),
        ("adapters/echo/adapter.yaml", &adapter),
        ("templates/echo/echo.json.j2", "{\"a\": {{ pod.nmae }}}"),
    ]);
    let [manifests, adapters, templates] = ["manifests", "adapters", "templates"].map(|name| place.path().join(name));
    let arguments = ["validate", path(&manifests), "--adapters", path(&adapters), "--templates", path(&templates)];
    let (code, out, _) = run(&arguments);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("templates/echo/echo.json.j2") && out.contains("(for alice/a and 3 more pods)"), "{out}");
    assert!(out.ends_with("\n1 problem\n"), "{out}");
}

#[test]
fn an_unreachable_engine_is_reported_once_and_nothing_else() {
    let state = folder(&[]);
    let away = ["--state-dir", path(state.path()), "--docker-host", "unix:///nowhere.sock"];
    let (code, out, err) = run(&[&["plan"][..], &away].concat());
    assert_eq!((code, err.lines().count()), (Some(1), 1), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].starts_with("nothing can be planned: the container engine does not answer: unix:///nowhere.sock"),
        "{out}"
    );
    assert_eq!(lines[1..], ["3 pods held"]);
    let (code, out, err) = run(&[&["apply", "--timeout", "1s"][..], &away].concat());
    assert_eq!(code, Some(1));
    assert_eq!((out + &err).matches("does not answer").count(), 1);
}

#[test]
fn an_unusable_state_directory_is_named_once_with_the_cause_and_what_to_do() {
    let place = folder(&[("file", "")]);
    let (code, _, err) = run(&["apply", "--state-dir", path(&place.path().join("file"))]);
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot be created: ") && err.ends_with("choose another with --state-dir\n"), "{err}");
    assert_eq!(err.matches("os error").count(), 1, "{err}");

    // A file is in the way of the private server's folder.
    fs::create_dir(place.path().join("state")).unwrap();
    fs::write(place.path().join("state/postgres"), "").unwrap();
    let (code, _, err) = run(&["apply", "--state-dir", path(&place.path().join("state"))]);
    assert_eq!(code, Some(1));
    assert_eq!(err.matches("os error").count(), 1, "{err}");
}

#[test]
fn validate_names_every_problem_of_every_file_with_exit_code_1() {
    let bad = folder(&[
        ("a.yaml", &POD.replace("adapter: echo", "adaptr: echo")),
        ("b.yaml", &POD.replace("kind: Pod", "kind: Pood")),
    ]);
    let (code, out, _) = run(&["validate", path(bad.path())]);
    assert_eq!(code, Some(1), "{out}");
    for part in [
        "a.yaml:9:3: unknown field \"adaptr\"",
        "did you mean \"adapter\"?",
        "b.yaml:6:",
        "did you mean \"Pod\"?",
        "problems",
    ] {
        assert!(out.contains(part), "{part:?} is missing in:\n{out}");
    }
    let (code, out, _) = run(&["validate", path(bad.path()), "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["valid"]), (Some(1), &serde_json::json!(false)));
    let first = &json["problems"][0];
    assert!(first["file"].is_string() && first["at"]["line"].is_number() && first["what"].is_string(), "{first}");
}

#[test]
fn an_empty_or_missing_folder_is_a_problem_and_not_an_empty_fleet() {
    let empty = folder(&[]);
    for place in [path(empty.path()), "/nowhere/at/all"] {
        let (code, out, _) = run(&["validate", place]);
        assert_eq!(code, Some(1));
        assert!(out.contains(place), "{out}");
    }
}

#[test]
fn check_renders_every_sample_and_finds_a_broken_template() {
    let (code, out, _) = run(&["check"]);
    assert_eq!(code, Some(0), "{out}");
    let adapter = fs::read_to_string("adapters/echo/adapter.yaml").unwrap();
    let broken =
        folder(&[("adapters/echo/adapter.yaml", &adapter), ("templates/echo/echo.json.j2", "{\"a\": {{ pod.nmae }}}")]);
    let (adapters, templates) = (broken.path().join("adapters"), broken.path().join("templates"));
    let (code, out, _) = run(&["check", "--adapters", path(&adapters), "--templates", path(&templates)]);
    assert_eq!(code, Some(1));
    assert!(out.contains("templates/echo/echo.json.j2") && out.contains("undefined"), "{out}");
}

#[test]
fn the_schema_is_a_json_schema_that_accepts_the_shipped_manifests() {
    let (code, out, _) = run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, Some(0));
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for file in fs::read_dir("manifests").unwrap() {
        let file = file.unwrap().path();
        let (documents, problems) = agentpod::core::declare::document::read("m", &fs::read(&file).unwrap());
        assert_eq!(problems, []);
        for document in documents {
            let errors: Vec<String> =
                validator.iter_errors(&document.root.to_json()).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", file.display());
        }
    }
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let mut shell = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_agentpod");
    let said = command::run(shell.arg("-c").arg(format!("{program} schema | head -1")), "");
    assert_eq!((said.out.as_str(), said.err.as_str()), ("{\n", ""));
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let mut command = Command::new("sh");
        let said = command::run(command.arg("-c").arg(format!("{program} completions {shell} | head -1")), "");
        assert_eq!((said.out.lines().count(), said.err.as_str()), (1, ""), "{shell}");
    }
}

#[test]
fn render_shows_what_the_agent_gets_without_its_secrets() {
    let source = folder(&[("a.yaml", POD)]);
    let output = agentpod(&["render", "alice/a", "--source", path(source.path())])
        .env("AGENTPOD_SECRET_TEST", "sk-very-secret")
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("KEY=[secret KEY]") && out.contains("ECHO_TOKEN=[gateway token]"), "{out}");
    assert!(!out.contains("sk-very-secret"));
    let (code, _, err) = run(&["render", "alice/b", "--source", path(source.path())]);
    assert_eq!(code, Some(1));
    assert!(err.contains("there is no pod alice/b"), "{err}");
}

#[test]
fn invalid_settings_are_refused_with_an_example() {
    for (arguments, part) in [
        (["plan", "--domain", "exa`mple"], "alice.example.com"),
        (["plan", "--network-subnet", "10.0.0.1/20"], "10.213.0.0/20"),
        (["plan", "--removal-grace", "soon"], "5m"),
        (["plan", "--entry-point", "a b"], "letters"),
    ] {
        let (code, _, err) = run(&arguments);
        assert!(matches!(code, Some(1 | 2)) && err.contains(part), "{arguments:?}: {err}");
    }
}

#[test]
fn a_secret_is_encrypted_from_standard_input_into_yaml_that_can_be_pasted() {
    let state = folder(&[]);
    let directory = path(state.path());
    let (code, out, err) = run(&["secret", "keygen", "--state-dir", directory]);
    let recipient = out.trim();
    assert!(code == Some(0) && recipient.starts_with("age1") && err.contains("age.key"), "{out}{err}");
    let key = fs::read_to_string(state.path().join("age.key")).unwrap();
    assert!(key.contains("AGE-SECRET-KEY-1") && !out.contains("SECRET") && !err.contains("SECRET"));
    let (code, _, err) = run(&["secret", "keygen", "--state-dir", directory]);
    assert!(code == Some(1) && err.contains("was not changed"), "{err}");

    let list = state.path().join("recipients");
    fs::write(&list, format!("# ours\n\n{recipient}\n")).unwrap();
    for to in [vec!["--recipient", recipient], vec!["--recipients-file", path(&list)], vec!["--state-dir", directory]] {
        let mut arguments = vec!["secret", "encrypt", "--name", "KEY"];
        arguments.extend(&to);
        let Said { code, out: yaml, .. } = command::run(&mut agentpod(&arguments), "sk-very-secret\n");
        assert!(code == 0 && !yaml.contains("sk-very-secret"), "{yaml}");
        let manifest = POD.replace("  secrets: {KEY: {env: AGENTPOD_SECRET_TEST}}\n", &format!("  secrets:\n{yaml}"));
        // It is valid even without an identity.
        let source = folder(&[("a.yaml", &manifest)]);
        let (code, out, _) = run(&["validate", path(source.path())]);
        assert_eq!(code, Some(0), "{out}\n{manifest}");
        let (manifests, _) = agentpod::core::declare::manifest::read([("a.yaml", manifest.as_bytes())]);
        let reference = manifests.pods.into_values().next().unwrap().value.spec.secrets.remove("KEY").unwrap();
        let identities = agentpod::secrets::Identities::new(vec![state.path().join("age.key")]);
        let mut values = agentpod::secrets::SecretReader::new(identities).read([reference.clone()].into());
        let value = values.remove(&reference).unwrap().unwrap();
        assert_eq!(secrecy::ExposeSecret::expose_secret(&value), "sk-very-secret");
    }
}

#[test]
fn unusable_values_and_recipients_are_refused_without_quoting_a_secret() {
    let state = folder(&[("bad", "age1nonsense\n"), ("none", "# nobody\n")]);
    let (bad, none) = (state.path().join("bad"), state.path().join("none"));
    let good = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    for (arguments, stdin, part) in [
        (vec!["--recipient", good], "", "the value is empty"),
        (vec!["--recipient", good], "s3cret\0", "NUL"),
        (vec!["--recipient", "AGE-SECRET-KEY-1S3CRET"], "s3cret", "an identity, which must stay secret"),
        (vec!["--recipient", "ssh-ed25519 AAAA"], "s3cret", "SSH keys are not supported"),
        (vec!["--recipients-file", path(&bad)], "s3cret", "bad:1"),
        (vec!["--recipients-file", path(&none)], "s3cret", "no recipient in"),
        (vec!["--state-dir", path(state.path())], "s3cret", "give --recipient"),
        (vec!["--recipient", good, "--name", "not a name"], "s3cret", "letters, digits"),
    ] {
        let mut all = vec!["secret", "encrypt"];
        all.extend(&arguments);
        let Said { code, out, err } = command::run(&mut agentpod(&all), stdin);
        assert!(code == 1 && out.is_empty(), "{arguments:?}: {err}");
        assert!(err.contains(part) && !err.to_lowercase().contains("s3cret"), "{arguments:?}: {err}");
    }
}
