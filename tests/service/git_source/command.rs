//! The command line on a repository, which is fetched once; and certificates, which depend on the
//! process's environment.

use std::path::Path;

use crate::testkit::{
    self,
    command::{Said, run},
    git_http::GitHttp,
    repository::Repository,
    tls::Tls,
};

/// Runs a command with only these variables of AgentPod, and returns its exit code and output.
fn agentpod(state: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let mut command = testkit::agentpod();
    command.args(arguments).arg("--state-dir").arg(state);
    let Said { code, out, err } = run(command.envs(environment.iter().copied()), "");
    (code, out + &err)
}

const POD: &str = "{apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {name: alice}}\n---\n\
                   {apiVersion: agentpod.dev/v1, kind: Pod, metadata: {name: pod, tenant: alice}, \
                   spec: {adapter: echo, subdomain: alice, config: {mode: from-git}}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn offline_commands_fetch_once_and_report_what_is_wrong() {
    let repository = Repository::with(&[("pods/a.yaml", POD)]);
    let server = GitHttp::start(repository.root(), Some("x-access-token:s3cret-token")).await;
    let (url, state) = (server.url(), repository.path("state"));
    let token = [("AGENTPOD_GIT_TOKEN", "s3cret-token")];
    let git = ["--git", url.as_str(), "--git-path", "pods"];
    let run = |command: &[&str], environment: &[(&str, &str)]| {
        let (code, said) = agentpod(&state, &[command, &git[..]].concat(), environment);
        assert!(!said.contains("s3cret"), "{said}");
        (code, said)
    };
    assert_eq!(run(&["validate"], &token), (0, "1 file, no problems\n".into()));
    let (code, said) = run(&["render", "alice/pod"], &token);
    assert!(code == 0 && said.contains("ECHO_MODE=from-git"), "{said}");
    assert_eq!(server.asked().iter().filter(|one| one.starts_with("GET")).count(), 2);
    let (code, said) = run(&["validate"], &[("AGENTPOD_GIT_TOKEN", "s3cret-other")]);
    assert!(code == 1 && said.contains("refused access"), "{said}");
    let (code, said) = run(&["validate"], &[]);
    assert!(code == 1 && said.contains("--git-token-file"), "{said}");
    repository.push(&[("pods/a.yaml", &POD.replace("subdomain", "subdomian"))], "a mistake");
    let (code, said) = run(&["validate"], &token);
    assert!(code == 1 && said.contains("a.yaml") && said.contains("did you mean"), "{said}");
    let (code, said) = agentpod(&state, &["validate", "--git", "https://me:s3cret@forge.example/r"], &[]);
    assert!(code == 1 && said.contains("--git-token-file") && !said.contains("s3cret"), "{said}");
}

#[test]
fn a_certificate_is_trusted_only_if_a_named_authority_signed_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Tls::start(folder.path());
    let url = format!("https://localhost:{}/repo.git", server.port);
    let state = folder.path().join("state");
    let (code, said) = agentpod(&state, &["validate", "--git", &url], &[]);
    assert!(code == 1 && said.contains("is not trusted") && said.contains("SSL_CERT_FILE"), "{said}");
    let (code, said) = agentpod(&state, &["validate", "--git", &url], &[("SSL_CERT_FILE", &server.certificate)]);
    assert!(code == 1 && !said.contains("is not trusted") && said.contains("cannot fetch"), "{said}");
}
