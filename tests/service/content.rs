//! What files can do to the commands that judge them: nothing but be refused, in words.

use crate::testkit::{
    self,
    command::{self, Said},
    files::{open_folder, write},
    site::shipped,
};

const TENANT: &str = "apiVersion: agentpod.dev/v1\nkind: Tenant\nmetadata: {name: alice}\n";

fn pod(more: &str) -> String {
    format!(
        "apiVersion: agentpod.dev/v1\nkind: Pod\nmetadata: {{name: a, tenant: alice}}\nspec: {{adapter: echo, subdomain: alice{more}}}\n"
    )
}

/// Runs a command in a folder with these files and the echo adapter.
fn run(files: &[(&str, &str)], arguments: &[&str]) -> Said {
    let folder = open_folder();
    for file in ["adapters/echo/adapter.yaml", "templates/echo/echo.json.j2"] {
        write(folder.path(), &[(file, &shipped(file))]);
    }
    write(folder.path(), files);
    let mut command = testkit::agentpod();
    command::run(command.args(arguments).current_dir(folder.path()), "")
}

#[test]
fn a_pod_on_the_line_of_its_marker_is_not_lost() {
    let two = format!(
        "{TENANT}--- {{apiVersion: agentpod.dev/v1, kind: Pod, metadata: {{name: a, tenant: alice}}, spec: 7}}\n"
    );
    let said = run(&[("manifests/a.yaml", &two)], &["validate"]);
    assert!(said.code == 1 && said.out.contains("a.yaml:4:88: \"spec\" must be a mapping, not 7"), "{said:?}");
}

#[test]
fn a_template_that_would_overflow_the_stack_is_a_problem() {
    for bomb in [format!("{{{{ {}1 }}}}", "1+".repeat(9_100)), format!("{{{{ data{} }}}}", "|upper".repeat(5_200))] {
        for command in ["check", "validate", "render"] {
            let arguments = [&[command][..], if command == "render" { &["alice/a"] } else { &[] }].concat();
            let files =
                [("manifests/a.yaml", &*format!("{TENANT}---\n{}", pod(""))), ("templates/echo/echo.json.j2", &bomb)];
            let said = run(&files, &arguments);
            assert!(said.code == 1 && said.out.contains("an expression has more than 100 operators"), "{said:?}");
        }
    }
}

#[test]
fn one_file_is_validated_by_itself() {
    let files = [("manifests/a.yaml", &*pod("")), ("manifests/b.yaml", "{")];
    let said = run(&files, &["validate", "manifests/a.yaml"]);
    assert_eq!(said.out, "1 file, no problems; what other files declare was not looked at\n", "{said:?}");
    let said = run(&files, &["validate", "manifests/b.yaml"]);
    assert!(said.code == 1 && said.out.starts_with("manifests/b.yaml:1:1: this bracket is never closed"), "{said:?}");
}

#[test]
fn a_pod_gets_only_what_is_set_aside_for_secrets() {
    let told = |secret: &str, arguments: &[&str]| {
        let manifest = format!("{TENANT}---\n{}", pod(&format!(", secrets: {{KEY: {secret}}}")));
        run(&[("manifests/a.yaml", &manifest)], &[&["validate"][..], arguments].concat()).out
    };
    for (secret, why) in [
        ("{env: DATABASE_URL}", "the variable DATABASE_URL belongs to AgentPod itself"),
        ("{env: AGENTPOD_GIT_TOKEN}", "the variable AGENTPOD_GIT_TOKEN belongs to AgentPod itself"),
        ("{env: HOME}", "the variable HOME is not one for secrets of pods"),
        ("{file: /etc/shadow}", "the file /etc/shadow is outside the folders for secrets of alice"),
        ("{file: /proc/self/environ}", "the file /proc/self/environ is outside"),
        ("{file: /run/secrets/../../etc/shadow}", "is outside the folders"),
    ] {
        let out = told(secret, &[]);
        assert!(out.contains(why) && out.contains("help: "), "{secret}: {out}");
    }
    for secret in ["{env: AGENTPOD_SECRET_KEY}", "{file: /etc/agentpod/secrets/key}", "{file: /run/secrets/key}"] {
        assert_eq!(told(secret, &[]), "1 file, no problems\n");
    }
    let by_tenant = ["--secrets-dir", "/srv/{tenant}", "--secret-env-prefix", "TEAM_"];
    assert_eq!(told("{file: /srv/alice/key}", &by_tenant), "1 file, no problems\n");
    assert_eq!(told("{env: TEAM_KEY}", &by_tenant), "1 file, no problems\n");
    assert!(told("{file: /srv/bob/key}", &by_tenant).contains("move it below /srv/alice, or name other folders"));
}

#[test]
fn a_copy_that_a_synchronization_left_is_named_as_one() {
    let both = format!("{TENANT}---\n{}", pod(""));
    let copy = "manifests/a.sync-conflict-20261127-073000-ABCDEFG.yaml";
    let said = run(&[("manifests/a.yaml", &both), (copy, &both)], &["validate"]);
    assert!(
        said.out.starts_with("a.sync-conflict-20261127-073000-ABCDEFG.yaml: this file is a copy of a.yaml"),
        "{said:?}"
    );
    assert!(said.out.ends_with("\n1 problem\n"), "nobody is told that the original is declared twice: {said:?}");
}

#[test]
fn nothing_in_a_problem_moves_the_terminals_cursor() {
    let hostile = "apiVersion: \"\\e[2J\\u009B31m\\u202Eevil\"\nkind: Tenant\n";
    let said = run(&[("manifests/a.yaml", hostile)], &["validate"]);
    assert!(said.code == 1 && !said.out.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{said:?}");
}
