//! What is left of a removed pod, listed and deleted, beside a running daemon.

use super::echo;
use crate::testkit::{
    docker::docker,
    stand::{PATIENCE, Stand},
};

#[tokio::test]
async fn a_removed_pods_data_is_deleted_when_its_name_is_typed_and_it_comes_back_as_a_new_pod() {
    let [alice, bob] = ["alice", "bob"].map(|tenant| echo(tenant, ""));
    let stand = Stand::start(&[("alice.yaml", &alice), ("bob.yaml", &bob)]).await;
    stand.all_ready(&["alice/assistant", "bob/assistant"]).await;
    let volume = |tenant: &str| format!("{}_{tenant}_assistant", stand.instance());
    let first = stand.container("alice/assistant");
    let bobs = stand.container("bob/assistant");

    let said = stand.agentpod(&["orphans"]);
    assert_eq!((said.code, said.out.trim()), (0, "there are no orphans"), "{}", said.err);
    let said = stand.agentpod(&["purge", "alice/assistant", "--yes"]);
    assert!(said.code == 1 && said.err.contains("alice/assistant is declared"), "{} {}", said.out, said.err);
    assert_eq!(stand.container("alice/assistant").life(), first.life());

    stand.delete("alice.yaml");
    let gone = async || stand.containers("alice/assistant").is_empty().then_some(());
    stand.until("alice's container is gone", PATIENCE, gone).await;
    let said = stand.agentpod(&["orphans", "-o", "json"]);
    let orphans: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, orphans.as_array().unwrap().len()), (2, 1), "{}", said.out);
    assert_eq!((&orphans[0]["kind"], &orphans[0]["pod"]), (&"volume".into(), &"alice/assistant".into()));
    assert_eq!(orphans[0]["name"], volume("alice").as_str());
    assert!(orphans[0]["remedy"].as_str().unwrap().contains("agentpod purge alice/assistant"));

    for (typed, part) in [("", "--yes"), ("alice\n", "nothing was deleted"), ("yes\n", "nothing was deleted")] {
        let said = stand.agentpod_told(&["purge", "alice/assistant"], typed);
        assert!(said.code == 1 && said.err.contains(part), "{typed:?}: {}", said.err);
        assert!(said.out.contains(&format!("volume {}, created on ", volume("alice"))), "{}", said.out);
    }
    assert_eq!(stand.volumes(), [volume("alice"), volume("bob")]);

    let said = stand.agentpod_told(&["purge", "alice/assistant"], "alice/assistant\n");
    assert_eq!(said.code, 0, "{} {}", said.out, said.err);
    assert_eq!(stand.volumes(), [volume("bob")]);
    assert_eq!(stand.container("bob/assistant").life(), bobs.life());
    let said = stand.agentpod(&["orphans"]);
    assert_eq!((said.code, said.out.trim()), (0, "there are no orphans"), "{}", said.err);
    let said = stand.agentpod(&["purge", "alice/assistant", "--yes"]);
    assert!(said.code == 1 && said.err.contains("nothing is left of alice/assistant"), "{}", said.err);

    stand.save("alice.yaml", &alice);
    stand.all_ready(&["alice/assistant"]).await;
    let second = stand.container("alice/assistant");
    assert_ne!(second.variable("ECHO_TOKEN"), first.variable("ECHO_TOKEN"));
    assert_eq!(second.volume, volume("alice"));
    let events = stand.events("alice/assistant");
    assert!(events.iter().all(|event| event["kind"] != "returned"), "{events:?}");
}

#[tokio::test]
async fn without_an_engine_nothing_is_purged_and_without_a_daemon_it_works_and_spares_what_is_not_ours() {
    let alice = echo("alice", "");
    let mut stand = Stand::start(&[("alice.yaml", &alice), ("bob.yaml", &echo("bob", "state: stopped"))]).await;
    stand.all_ready(&["alice/assistant"]).await;
    stand.delete("alice.yaml");
    let gone = async || stand.containers("alice/assistant").is_empty().then_some(());
    stand.until("alice's container is gone", PATIENCE, gone).await;

    let arguments = ["purge", "alice/assistant", "--yes"];
    let elsewhere = [&arguments[..], &["--docker-host", "unix:///nowhere/at/all"]].concat();
    let said = stand.agentpod(&elsewhere);
    assert!(said.code == 1 && said.err.contains("does not answer"), "{}", said.err);
    assert_eq!(stand.volumes(), [format!("{}_alice_assistant", stand.instance())]);

    stand.stop_daemon().await;
    let foreign = format!("{}_foreign", stand.instance());
    docker(&["volume", "create", "--label", &format!("agentpod.stand={}", stand.instance()), &foreign]);
    let said = stand.agentpod(&arguments);
    assert_eq!(said.code, 0, "{} {}", said.out, said.err);
    assert_eq!(stand.volumes(), Vec::<String>::new());
    assert_eq!(docker(&["volume", "inspect", "--format", "{{.Name}}", &foreign]), foreign);
    docker(&["volume", "rm", &foreign]);
}
