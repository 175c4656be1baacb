//! `agentpod revisions`, `agentpod diff` and the source line of `agentpod status`, as a person runs them, on a database
//! that an AgentPod wrote.

use std::collections::BTreeMap;

use crate::testkit::{
    self,
    command::{Said, run_beside},
    files::open_folder,
    postgres,
    site::shipped_adapters,
};
use agentpod::core::event::EventKind;
use agentpod::{
    core::declare::{adapter::AdapterFiles, commit::Commit, manifest},
    store::{Event, Fetched, SourceState, Store},
};
use sqlx::postgres::PgConnectOptions;
use time::{Duration, OffsetDateTime};

const TENANT: &str = "apiVersion: agentpod.dev/v1\nkind: Tenant\nmetadata: {name: alice}\n";

fn at(minutes: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::minutes(minutes)
}

fn pod(name: &str, more: &str) -> (String, String) {
    let text = format!(
        "apiVersion: agentpod.dev/v1\nkind: Pod\nmetadata: {{name: {name}, tenant: alice}}\nspec:\n  adapter: echo\n  subdomain: {name}\n{more}"
    );
    (format!("{name}.yaml"), text)
}

struct Stage {
    state: tempfile::TempDir,
    options: PgConnectOptions,
    store: Store,
    adapters: AdapterFiles,
}

impl Stage {
    async fn new() -> Self {
        let state = open_folder();
        let options = postgres::database().await;
        let key = state.path().join("instance.key");
        let store = Store::open_with_key_file(options.clone(), &key, &"agentpod".parse().unwrap()).await.unwrap();
        let adapters = shipped_adapters().await;
        Self { state, options, store, adapters }
    }

    /// Stores a revision as a reconciler would, with its problems.
    async fn stored(&self, commit: Option<Commit>, files: &[(String, String)], minutes: i64) -> i64 {
        let files: BTreeMap<String, Vec<u8>> =
            files.iter().map(|(name, text)| (name.clone(), text.as_bytes().to_vec())).collect();
        let hash = agentpod::core::digest::Digest::of_files("", &files);
        let (_, problems) = manifest::read(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
        let fetched = Fetched {
            hash: hash.as_str(),
            origin: "https://git.example.com/fleet.git, main",
            commit: commit.as_ref(),
            files: &files,
            adapters: &self.adapters,
        };
        if problems.is_empty() {
            self.store.accept(&fetched, at(minutes)).await.unwrap().id
        } else {
            self.store.reject(&fetched, &problems, at(minutes)).await.unwrap().id
        }
    }

    /// Runs a command and returns its exit code, standard output and standard error.
    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = testkit::agentpod();
        command.env("DATABASE_URL", postgres::url(&self.options)).args(arguments);
        command.arg("--state-dir").arg(self.state.path());
        let Said { code, out, err } = run_beside(command).await;
        (Some(code), out, err)
    }
}

fn commit(id: &str, summary: &str) -> Commit {
    Commit { id: id.repeat(20), author: "Ada <ada@example.com>".into(), summary: summary.into(), committed_at: at(0) }
}

/// Declares a tenant with a pod, then changes the pod and adds another, then makes a mistake.
async fn history(stage: &Stage) -> [i64; 3] {
    let tenant = || ("tenant.yaml".to_owned(), TENANT.to_owned());
    let first = stage.stored(Some(commit("a1", "Add alice")), &[tenant(), pod("one", "")], 1).await;
    stage.store.mark_synced(first, at(2)).await.unwrap();
    let files = [tenant(), pod("one", "  resources: {memory: 96Mi}\n"), pod("two", "")];
    let second = stage.stored(Some(commit("b2", "More memory, and two")), &files, 3).await;
    let files = [tenant(), pod("one", "  resorces: {memory: 96Mi}\n"), pod("two", "")];
    let third = stage.stored(Some(commit("c3", "Oops\u{1b}[2J")), &files, 4).await;
    [first, second, third]
}

#[tokio::test]
async fn revisions_are_listed_with_commit_author_and_state_newest_last() {
    let stage = Stage::new().await;
    assert_eq!(stage.run(&["revisions"]).await.1, "no revisions yet\n");
    history(&stage).await;
    let (code, out, err) = stage.run(&["revisions"]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 4, "{out}");
    assert!(lines[0].starts_with("ID") && lines[0].contains("COMMIT") && lines[0].ends_with("SUMMARY"), "{out}");
    for (line, parts) in [
        (1, ["a1a1a1a1a1", "Ada", "synced", "Add alice"]),
        (2, ["b2b2b2b2b2", "Ada", "accepted, in force", "More memory, and two"]),
        (3, ["c3c3c3c3c3", "Ada", "rejected (1 problem)", "Oops\u{fffd}[2J"]),
    ] {
        assert!(parts.iter().all(|part| lines[line].contains(part)), "{parts:?} are missing in {}", lines[line]);
    }
    let (_, out, _) = stage.run(&["revisions", "-n", "1"]).await;
    assert!(out.lines().count() == 2 && out.contains("c3c3c3c3c3"), "{out}");

    let (_, out, _) = stage.run(&["revisions", "-o", "json"]).await;
    let rows: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(rows[1]["commit"]["author"], "Ada <ada@example.com>");
    assert_eq!((&rows[1]["state"], &rows[1]["in_force"]), (&"accepted".into(), &true.into()));
    assert_eq!((&rows[2]["state"], &rows[2]["problems"][0]["at"]["line"]), (&"rejected".into(), &7.into()));
}

#[tokio::test]
async fn one_revision_is_shown_with_every_problem_its_file_its_line_and_a_caret() {
    let stage = Stage::new().await;
    let [_, _, bad] = history(&stage).await;
    for name in [bad.to_string(), "c3c3".into()] {
        let (code, out, _) = stage.run(&["revisions", &name]).await;
        assert_eq!(code, Some(0), "{out}");
        for part in [
            format!("revision {bad} (").as_str(),
            "rejected (1 problem)\n",
            &format!("commit:   {}\n", "c3".repeat(20)),
            "author:   Ada <ada@example.com>, ",
            "one.yaml:7:3: unknown field \"resorces\"\n  7 |   resorces: {memory: 96Mi}\n    |   ^^^^^^^^\n  help: did you mean \"resources\"?",
        ] {
            assert!(out.contains(part), "{part:?} is missing in:\n{out}");
        }
    }
    let (code, _, err) = stage.run(&["revisions", "999"]).await;
    assert!(code == Some(1) && err.contains("there is no revision 999"), "{err}");
}

#[tokio::test]
async fn a_diff_shows_files_and_pods_from_the_older_to_the_newer() {
    let stage = Stage::new().await;
    let (code, _, err) = stage.run(&["diff"]).await;
    assert!(code == Some(1) && err.contains("no revision is in force yet"), "{err}");
    let [first, second, bad] = history(&stage).await;
    for arguments in [vec!["diff"], vec!["diff", "a1a1"]] {
        let (code, out, err) = stage.run(&arguments).await;
        assert_eq!((code, err.as_str()), (Some(0), ""));
        assert!(
            out.starts_with(&format!("from revision {first} (")) && out.contains(&format!("to {second} (")),
            "{out}"
        );
        let file = "--- a/one.yaml\n+++ b/one.yaml\n@@ -4,3 +4,4 @@\n spec:\n   adapter: echo\n   subdomain: one\n+  resources: {memory: 96Mi}\n";
        assert!(out.contains(file), "{out}");
        assert!(out.contains("--- /dev/null\n+++ b/two.yaml\n"), "{out}");
        assert!(!out.contains("tenant.yaml") && !out.contains("adapters/"), "what is the same is not shown: {out}");
        assert!(out.ends_with("alice/one gets a new container\nalice/two is added\n"), "{out}");
        assert!(!out.contains('\u{1b}'), "no colors without a terminal");
    }
    let (_, out, _) = stage.run(&["diff", &bad.to_string()]).await;
    assert!(out.contains("-  resources: {memory: 96Mi}\n+  resorces: {memory: 96Mi}\n"), "{out}");
    assert!(out.ends_with(&format!("revision {bad} has problems; see agentpod revisions {bad}\n")), "{out}");

    let (_, out, _) = stage.run(&["diff", "-o", "json"]).await;
    let diff: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(diff["pods"], serde_json::json!({"alice/one": "replaced", "alice/two": "added"}));
    assert_eq!((&diff["files"][1]["path"], &diff["files"][1]["change"]), (&"two.yaml".into(), &"added".into()));
}

#[tokio::test]
async fn status_shows_the_commit_in_force_and_that_the_source_is_stale() {
    let stage = Stage::new().await;
    let [_, _, bad] = history(&stage).await;
    let (_, out, _) = stage.run(&["status"]).await;
    assert!(out.contains("(commit b2b2b2b2b2) in force"), "{out}");
    assert!(
        out.contains(&format!("was rejected with 1 problem, see agentpod revisions {bad}")) && !out.contains("stale"),
        "{out}"
    );
    let event = |kind, message| Event::of_none(kind, message);
    let refused = event(EventKind::SourceRefused, "pods: there is no such folder in the newest commit");
    stage.store.record(&refused, at(6)).await.unwrap();
    let (_, out, _) = stage.run(&["status"]).await;
    assert!(
        out.contains("\n        not usable since 2024-10-04T00:06:00Z (") && out.contains("no such folder"),
        "{out}"
    );
    stage.store.record(&event(EventKind::SourceAccepted, "fleet can be read again"), at(7)).await.unwrap();
    let (_, out, _) = stage.run(&["status"]).await;
    assert!(!out.contains("not usable"), "{out}");
    let why = Some("the remote hung up".to_owned());
    let state = SourceState { origin: "fleet".into(), read_at: Some(at(5)), stale_since: Some(at(8)), why };
    stage.store.set_source_state(&state, at(8)).await.unwrap();
    let (_, out, _) = stage.run(&["status"]).await;
    assert!(
        out.contains("\n        stale: fleet has not been read since 2024-10-04T00:05:00Z (")
            && out.contains("ago): the remote hung up\n"),
        "{out}"
    );
    let (_, out, _) = stage.run(&["status", "-o", "json"]).await;
    let status: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&status["stale"]["stale_since"], &status["source"]["commit"]["summary"]),
        (&"2024-10-04T00:08:00Z".into(), &"More memory, and two".into())
    );
}
