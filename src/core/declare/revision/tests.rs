//! Whole revisions and what people are told about them: every problem at once, in bounded time and space.

use std::collections::BTreeMap;

use super::*;
use crate::core::{
    declare::infra::NetworkSpec,
    secret::SecretRoots,
    site::{Scheme, Site},
};

fn site(secrets: SecretRoots) -> Site {
    Site {
        instance: "test".parse().unwrap(),
        domain: "example.com".into(),
        scheme: Scheme::Https,
        port: None,
        entry_point: "websecure".into(),
        cert_resolver: None,
        network: NetworkSpec {
            name: "agentpod-net".into(),
            subnet: "10.0.0.0/24".into(),
            pool: "10.0.0.128/25".into(),
            mtu: None,
            labels: BTreeMap::new(),
        },
        proxy_address: [10, 0, 0, 2].into(),
        secrets,
    }
}

const ECHO: &str = include_str!("../../../../adapters/echo/adapter.yaml");

/// The echo adapter, with a part of its text replaced.
fn echo(from: &str, to: &str) -> AdapterFiles {
    assert!(ECHO.contains(from), "{from}");
    let template = include_str!("../../../../templates/echo/echo.json.j2");
    AdapterFiles {
        adapters: [("echo/adapter.yaml".into(), ECHO.replacen(from, to, 1).into_bytes())].into(),
        templates: [("echo/echo.json.j2".into(), template.as_bytes().to_vec())].into(),
    }
}

fn judge(files: &[(&str, &str)], adapters: &AdapterFiles) -> Vec<Problem> {
    let files = files.iter().map(|(name, text)| (*name, text.as_bytes()));
    let roots = SecretRoots { folders: vec!["/secrets/{tenant}".into()], variables: vec!["AGENTPOD_SECRET_".into()] };
    validate("here", files, adapters, &site(roots)).err().unwrap_or_default()
}

fn judged(files: &[(&str, &str)]) -> Vec<String> {
    let problems = judge(files, &echo("", ""));
    problems.iter().map(|problem| format!("{}: {}", problem.file, problem.what)).collect()
}

fn of_adapter(from: &str, to: &str) -> String {
    let problems = judge(&[("a.yaml", &tenant("alice"))], &echo(from, to));
    problems.iter().map(|problem| problem.what.clone()).collect::<Vec<_>>().join("; ")
}

fn tenant(name: &str) -> String {
    format!("apiVersion: agentpod.dev/v1\nkind: Tenant\nmetadata: {{name: {name}}}\n")
}

fn pod(tenant: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: agentpod.dev/v1\nkind: Pod\nmetadata: {{name: {name}, tenant: {tenant}}}\nspec: {{adapter: echo, {spec}}}\n"
    )
}

#[test]
fn one_broken_file_hides_no_problem_of_another() {
    let good = tenant("alice") + &pod("alice", "one", "subdomain: one") + &pod("alice", "two", "subdomain: one");
    let adapter = tenant("bob") + &pod("bob", "one", "subdomain: three").replace("echo", "ecko");
    let limits = tenant("carol") + "spec: {quota: {pods: 0}}\n" + &pod("carol", "one", "subdomain: four");
    let little = pod("alice", "three", "subdomain: five, resources: {memory: 8Mi}");
    let stranger = pod("alise", "one", "subdomain: six");
    let secret = pod("alice", "four", "subdomain: seven, secrets: {KEY: {file: /etc/shadow}}");
    let broken = "apiVersion: agentpod.dev/v1\nkind: Tenant\nmetadata: {name: dora}\nspec: {displayName: [}\n";
    let of_broken = pod("dora", "one", "subdomain: eight");
    let all = [
        ("a.yaml", good.as_str()),
        ("b.yaml", &adapter),
        ("c.yaml", &limits),
        ("d.yaml", &little),
        ("e.yaml", &stranger),
        ("f.yaml", broken),
        ("g.yaml", &of_broken),
        ("h.yaml", &secret),
    ];
    assert_eq!(
        judged(&all),
        [
            "a.yaml: the subdomain \"one\" is used twice: by alice/one and by alice/two",
            "b.yaml: there is no adapter \"ecko\"",
            "c.yaml: tenant carol has 1 pods, more than the quota of 0",
            "d.yaml: memory 8Mi is less than Echo needs",
            "e.yaml: there is no tenant \"alise\"",
            "f.yaml: this bracket does not belong here",
            "h.yaml: the file /etc/shadow is outside the folders for secrets of alice",
        ]
    );
}

#[test]
fn a_file_can_be_judged_by_itself() {
    let (adapters, site) = (echo("", ""), site(SecretRoots::anywhere()));
    let judge = |text: &str| validate_file("a.yaml", text.as_bytes(), &adapters, &site);
    assert_eq!(judge(&pod("alice", "one", "subdomain: one")), [], "the tenant is declared elsewhere");
    assert_eq!(judge(&pod("alice", "one", "subdomian: one")).len(), 1);
}

#[test]
fn names_and_addresses_of_tenants_are_checked() {
    for (spec, what) in [
        ("displayName: \" \"", "\"displayName\" cannot be \" \""),
        ("displayName: \"Bob\\u202E\"", "\"displayName\" contains the invisible character U+202E"),
        ("email: not-an-email", "\"email\" cannot be \"not-an-email\""),
        ("email: !secret x@y", "the tag !secret means nothing here"),
    ] {
        let told = judged(&[("a.yaml", &(tenant("alice") + &format!("spec: {{{spec}}}\n")))]);
        assert_eq!(told, [format!("a.yaml: {what}")], "{spec}");
    }
    let good = tenant("alice") + "spec: {displayName: Alice \u{200d}Ü, email: alice@localhost}\n";
    assert_eq!(judged(&[("a.yaml", &good)]), [""; 0]);
}

#[test]
fn nothing_is_guessed_about_what_a_broken_file_may_declare() {
    let stranger = pod("bob", "one", "subdomain: one");
    let told = judged(&[("a.yaml", "{"), ("b.yaml", &stranger)]);
    assert_eq!(told.len(), 1, "the file that is broken could declare the tenant: {told:?}");
    let adapters = echo("port: 8080", "port: eighty");
    let pods = tenant("alice") + &pod("alice", "one", "subdomain: one");
    let told = judge(&[("a.yaml", &pods)], &adapters);
    assert!(told.iter().all(|problem| problem.file.starts_with("adapters/")) && !told.is_empty(), "{told:?}");
}

#[test]
fn resources_that_mean_something_else_to_the_engine_are_problems() {
    for (resources, what) in [
        ("cpus: 0", "cpus is 0, less than a container can have"),
        ("cpus: 0m", "cpus is 0, less than a container can have"),
        ("cpus: 0.001", "cpus is 0.001, less than a container can have"),
        ("cpus: 5000", "cpus is 5000, more than a machine has"),
        ("memory: 0", "memory is 0, less than a container can have"),
        ("memory: 900Ti", "memory is 900Ti, more than a machine has"),
    ] {
        let text = tenant("alice") + &pod("alice", "one", &format!("subdomain: one, resources: {{{resources}}}"));
        let told = judged(&[("a.yaml", &text)]);
        assert!(told.iter().any(|told| told.ends_with(what)), "{resources}: {told:?}");
    }
    assert!(of_adapter("cpus: 0.5", "cpus: 0").contains("cpus is 0"));
}

#[test]
fn what_an_adapter_says_wrong_is_told_before_a_pod_starts() {
    for (from, to, what) in [
        ("startup: 30s", "startup: 999999999h", "startup is 999999999h, more than allowed"),
        ("startup: 30s", "startup: 0s", "startup is 0s, less than allowed"),
        ("interval: 5s", "interval: 0", "interval is 0s, less than allowed"),
        ("timeout: 2s", "timeout: 3h", "timeout is 3h, more than allowed"),
        ("stopTimeout: 10s", "stopTimeout: 100h", "stopTimeout is 100h, more than allowed"),
        ("validFor: 10m", "validFor: 999999999h", "validFor is 999999999h, more than allowed"),
        ("\"1000:1000\"", "\"4294967296:1\"", "is not a user and a group"),
        ("\"1000:1000\"", "\"1:4294967295\"", "is not a user and a group"),
        ("data: /data", "data: /proc", "a folder of the system itself"),
        ("data: /data", "data: /sys/fs", "a folder of the system itself"),
        ("data: /data", "data: /etc", "a folder of the system itself"),
        ("/tmp: 16Mi", "/tmp: 0", "must be from 64Ki to 64Gi"),
        ("/tmp: 16Mi", "/dev/shm: 16Mi", "a folder of the system itself"),
        ("/tmp: 16Mi", "/config: 16Mi", "would hide the file"),
        ("ECHO_TENANT:", "\"\":", "\"\" cannot be the name of an environment variable"),
        ("ECHO_TENANT:", "A=B:", "\"A=B\" cannot be the name of an environment variable"),
        ("ECHO_TENANT:", "\"A\\0B\":", "cannot be the name of an environment variable"),
        ("\"{{ pod.tenant }}\"", "\"a\\0b\"", "contains a NUL byte"),
        ("link: \"{{ pod.url }}/", "link: \"javascript:alert(1)//", "does not lead to the agent's own page"),
        ("link: \"{{ pod.url }}/", "link: \"{{ pod.url }}.evil.example/", "does not lead to the agent's own page"),
        ("exec: [/echo, login]", "exec: []", "the command is empty"),
        ("pointer: /url", "pointer: url", "is not a JSON pointer"),
        ("title: Echo", "title: \" \"", "\"title\" is blank"),
    ] {
        let told = of_adapter(from, to);
        assert!(told.contains(what), "{to}: {told:?}");
    }
    assert_eq!(of_adapter("data: /data", "data: /home/agent/.config"), "");
    assert!(of_adapter("data: /data", "data: /home/../etc").contains("\"data\" cannot be"));
    assert!(of_adapter(ECHO, "").contains("this file is empty"));
}

#[test]
fn a_value_that_the_system_would_refuse_is_told_before_a_pod_starts() {
    let adapters = echo("ECHO_MODE: \"{{ config.mode }}\"", "ECHO_MODE: \"{{ config.greeting * 2000 }}\"");
    let judge = |greeting: &str| {
        let spec = format!("subdomain: one, config: {{greeting: \"{greeting}\"}}");
        let text = tenant("alice") + &pod("alice", "one", &spec);
        judge(&[("a.yaml", &text)], &adapters).iter().map(|problem| problem.what.clone()).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(judge("short"), "");
    assert!(judge(&"x".repeat(150)).contains("ECHO_MODE, which the adapter echo makes of the config, is longer than"));
    assert!(judge("a\\0b").contains("contains a NUL byte"));
}
