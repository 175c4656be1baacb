//! The read model: what people see, and what they do not.

use std::{collections::BTreeSet, time::Instant};

use agentpod::{
    core::{
        access::{Person, Role},
        decide::plan::{Action, Cause, Decision, Step},
        declare::commit::Commit,
        problem::Problem,
        report::{
            phase::Phase,
            status::Status,
            view::{ActionLine, PlanLine},
        },
    },
    store::{
        Event, Round, Store,
        view::{EventQuery, PodColumn, PodLine, PodQuery},
    },
};
use time::OffsetDateTime;

use super::{at, dump, fresh};
use crate::testkit::declared::{Declared, alice, pod};
use crate::testkit::rows;
use agentpod::core::event::EventKind;
use agentpod::core::observe::condition::ConditionKind;
use agentpod::core::report::reason::Reason;

fn everybody() -> Person {
    Person { name: "o".into(), role: Role::Operator, tenant: None }
}

fn of(tenant: &str) -> Person {
    Person { tenant: Some(tenant.parse().unwrap()), ..everybody() }
}

fn two_tenants() -> Declared {
    Declared::tenants()
        .pod("alice/assistant", "subdomain: alice, resources: {memory: 512Mi, cpus: 0.5}, config: {greeting: hello}")
        .pod("alice/idle", "subdomain: idle, state: stopped")
        .pod("bob/helper", "subdomain: bob")
}

async fn declare(store: &Store, declared: &Declared, now: OffsetDateTime) {
    let desired = declared.build();
    store.sync(&desired, now).await.unwrap();
    store.set_desired(&desired, now).await.unwrap();
}

async fn is(store: &Store, id: &str, phase: Phase, container: Option<&str>, now: OffsetDateTime) {
    let status = Status {
        phase,
        ready: phase == Phase::Running,
        reason: Reason::StepFailed,
        message: format!("it is {phase:?}"),
        container: container.map(Into::into),
        container_id: None,
        node: None,
    };
    store.write_status(&pod(id), &status, now).await.unwrap();
}

fn ids(lines: &[PodLine]) -> Vec<String> {
    lines.iter().map(|line| line.id.to_string()).collect()
}

#[tokio::test]
async fn a_list_is_filtered_by_text_tenant_phase_and_adapter() {
    let (store, _) = fresh().await;
    declare(&store, &two_tenants(), at(0)).await;
    is(&store, "bob/helper", Phase::Unhealthy, Some("bob_helper-1"), at(1)).await;
    let person = everybody();
    let found = async |query: PodQuery| ids(&store.view(&person).pods(&query).await.unwrap().items);
    assert_eq!(found(PodQuery::default()).await, ["alice/assistant", "alice/idle", "bob/helper"]);
    let text = |text: &str| PodQuery { text: Some(text.into()), ..PodQuery::default() };
    assert_eq!(found(text("ALICE/a")).await, ["alice/assistant"]);
    assert_eq!(found(text("is unhealthy")).await, ["bob/helper"], "also in its message");
    assert!(found(text("%")).await.is_empty(), "a text is a text and no pattern");
    let tenant = Some("bob".parse().unwrap());
    assert_eq!(found(PodQuery { tenant, ..PodQuery::default() }).await, ["bob/helper"]);
    let phases = vec![Phase::Pending];
    assert_eq!(found(PodQuery { phases, ..PodQuery::default() }).await, ["alice/assistant", "alice/idle"]);
    let adapter = Some("openclaw".parse().unwrap());
    assert!(found(PodQuery { adapter, ..PodQuery::default() }).await.is_empty());
}

#[tokio::test]
async fn every_order_shows_every_pod_once_over_pages() {
    let (store, _) = fresh().await;
    let mut declared = Declared::tenants();
    for number in 0..23 {
        declared = declared.pod(&format!("alice/p{number}"), &format!("subdomain: p{number}"));
    }
    declare(&store, &declared, at(0)).await;
    for number in 0..23 {
        let phase = [Phase::Running, Phase::Held, Phase::Unhealthy][number % 3];
        is(&store, &format!("alice/p{number}"), phase, Some("c"), at(1)).await;
        store.set_restarts(&pod(&format!("alice/p{number}")), (number % 4) as u32, at(2)).await.unwrap();
    }
    let columns = [
        PodColumn::Name,
        PodColumn::Tenant,
        PodColumn::Phase,
        PodColumn::Ready,
        PodColumn::Adapter,
        PodColumn::Image,
        PodColumn::Revision,
        PodColumn::Age,
        PodColumn::Memory,
        PodColumn::Cpu,
        PodColumn::Storage,
        PodColumn::Restarts,
    ];
    let person = everybody();
    for sort in columns {
        for descending in [false, true] {
            let mut query = PodQuery { sort, descending, limit: 5, ..PodQuery::default() };
            let (mut seen, mut pages) = (Vec::new(), 0);
            loop {
                let page = store.view(&person).pods(&query).await.unwrap();
                assert!(page.items.len() <= 5);
                seen.extend(page.items);
                pages += 1;
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
            let all: BTreeSet<String> = ids(&seen).into_iter().collect();
            assert_eq!((seen.len(), all.len(), pages), (23, 23, 5), "{sort:?} {descending}");
            if sort == PodColumn::Restarts {
                let restarts: Vec<u32> = seen.iter().map(|line| line.restarts).collect();
                let mut sorted = restarts.clone();
                sorted.sort_unstable();
                if descending {
                    sorted.reverse();
                }
                assert_eq!(restarts, sorted);
            }
            if sort == PodColumn::Phase && !descending {
                assert_eq!(seen[0].phase, Phase::Unhealthy, "what needs a person comes first");
            }
        }
    }
    for nonsense in ["", "x", "eyJ9", "bnVsbA"] {
        let query = PodQuery { after: Some(nonsense.into()), ..PodQuery::default() };
        assert_eq!(store.view(&person).pods(&query).await.unwrap().items.len(), 23, "a cursor {nonsense:?}");
    }
}

#[tokio::test]
async fn a_tenants_person_sees_that_tenant_only_in_every_result() {
    let (store, _) = fresh().await;
    declare(&store, &two_tenants(), at(0)).await;
    is(&store, "bob/helper", Phase::Held, Some("bob_helper-1"), at(1)).await;
    let (person, other) = (of("alice"), pod("bob/helper"));
    let view = store.view(&person);
    let lines = view.pods(&PodQuery { tenant: Some("bob".parse().unwrap()), ..PodQuery::default() }).await.unwrap();
    assert!(lines.items.is_empty());
    assert_eq!(ids(&view.pods(&PodQuery::default()).await.unwrap().items), ["alice/assistant", "alice/idle"]);
    assert!(view.pod(&other).await.unwrap().is_none());
    assert!(view.usage(&other).await.unwrap().is_none());
    assert!(view.lines(std::slice::from_ref(&other)).await.unwrap().is_empty());
    let all = rows::events(&store, None, 100).await;
    let all: Vec<i64> = all.iter().map(|event| event.id).collect();
    assert_eq!((all.len(), view.events_of(&all).await.unwrap().len()), (3, 2));
    for query in [
        EventQuery::default(),
        EventQuery { pod: Some(other.clone()), ..EventQuery::default() },
        EventQuery { tenant: Some("bob".parse().unwrap()), ..EventQuery::default() },
    ] {
        let events = view.events(&query).await.unwrap().items;
        assert!(events.iter().all(|event| event.pod.as_ref().is_some_and(|pod| pod.tenant.as_str() == "alice")));
    }
    let tenants = view.tenants().await.unwrap();
    assert_eq!(tenants.iter().map(|tenant| tenant.name.as_str()).collect::<Vec<_>>(), ["alice"]);
    assert!(view.tenant(&"bob".parse().unwrap()).await.unwrap().is_none());
    let overview = view.overview().await.unwrap();
    assert_eq!((overview.pods, overview.needs_attention_count), (2, 0));
    assert!(overview.source.is_none() && overview.rounds.is_empty() && overview.host.is_none());
    assert!(view.source().await.unwrap().is_none() && view.adapters().await.unwrap().is_none());
    assert!(view.revisions(10, None).await.unwrap().is_none() && view.revision(1).await.unwrap().is_none());
}

#[tokio::test]
async fn a_pod_shows_what_it_should_be_beside_what_its_container_was_made_as() {
    let (store, options) = fresh().await;
    declare(&store, &two_tenants(), at(0)).await;
    let (person, id) = (everybody(), pod("alice/assistant"));
    let detail = async || store.view(&person).pod(&id).await.unwrap().unwrap();
    let applied = |detail: &agentpod::store::view::PodDetail| {
        let condition = detail.conditions.iter().find(|one| one.kind == ConditionKind::ConfigApplied).unwrap();
        (condition.is_true, condition.reason)
    };
    assert_eq!(applied(&detail().await), (Some(false), Reason::NoContainer));
    assert!(detail().await.actual_container.is_none(), "nothing is made up about a container that is not there");

    let first = two_tenants().build().pods[&id].container.name.clone();
    is(&store, "alice/assistant", Phase::Running, Some(&first), at(1)).await;
    let same = detail().await;
    assert!(same.comparison.iter().any(|line| line.path == "memory" && line.desired.as_deref() == Some("512Mi")));
    assert!(
        same.comparison.iter().all(|line| !line.differs || line.path.starts_with("config")),
        "{:?}",
        same.comparison
    );
    assert_eq!(same.config["greeting"], "hello");

    let more = Declared::tenants().pod("alice/assistant", "subdomain: alice, resources: {memory: 1Gi, cpus: 0.5}");
    declare(&store, &more, at(2)).await;
    let changed = detail().await;
    assert_eq!(applied(&changed), (Some(false), Reason::OtherContainer));
    let memory = changed.comparison.iter().find(|line| line.path == "memory").unwrap();
    assert_eq!((memory.desired.as_deref(), memory.actual.as_deref()), (Some("1Gi"), Some("512Mi")));

    let before = dump(&options).await;
    store.set_desired(&more.build(), at(3)).await.unwrap();
    assert_eq!(dump(&options).await, before, "the same wish once more writes nothing");

    is(&store, "alice/assistant", Phase::Running, Some("made-by-another"), at(4)).await;
    assert!(detail().await.actual_container.is_none(), "what it was made as is not known");
}

#[tokio::test]
async fn secrets_are_in_a_summary_by_name_with_a_mark_that_differs_from_pod_to_pod() {
    let (store, options) = fresh().await;
    let spec = "secrets: {API_KEY: {env: KEY}}";
    let mut declared = Declared::tenants()
        .pod("alice/one", &format!("subdomain: one, {spec}, config: {{greeting: hi}}"))
        .pod("bob/two", &format!("subdomain: two, {spec}"));
    let place = serde_json::from_str(r#"{"env": "KEY"}"#).unwrap();
    declared.fingerprints.insert(place, Ok("the-fingerprint-of-it".into()));
    declare(&store, &declared, at(0)).await;
    let person = everybody();
    let mut marks = BTreeSet::new();
    for id in ["alice/one", "bob/two"] {
        let shape = store.view(&person).pod(&pod(id)).await.unwrap().unwrap().desired_container.unwrap();
        assert!(!shape.environment.contains_key("API_KEY"));
        marks.insert(shape.secrets["API_KEY"].clone());
    }
    assert_eq!(marks.len(), 2);
    assert!(!dump(&options).await.iter().any(|row| row.contains("the-fingerprint-of-it")));
}

#[tokio::test]
async fn a_decision_is_shown_and_stored_once() {
    let (store, options) = fresh().await;
    declare(&store, &alice(), at(0)).await;
    let id = pod("alice/assistant");
    let action = Action { cause: Cause::Missing, verdict: None, steps: vec![Step::Start("alice_assistant-1".into())] };
    let line = PlanLine::of(&Decision::Act(action.clone())).unwrap();
    let news = [(id.clone(), line.clone()), (pod("nobody/knows"), line.clone())];
    store.set_plans(&news, at(1)).await.unwrap();
    let before = dump(&options).await;
    store.set_plans(&news, at(2)).await.unwrap();
    assert_eq!(dump(&options).await, before);
    assert_eq!(store.plans().await.unwrap().into_iter().collect::<Vec<_>>(), [(id.clone(), line)]);
    let shown = store.view(&everybody()).pod(&id).await.unwrap().unwrap().plan.unwrap();
    assert_eq!((shown.decision.as_str(), shown.steps.as_slice()), ("act", &["start alice_assistant-1".to_owned()][..]));

    for number in 0..205 {
        let round = Round {
            began_at: at(number),
            took: std::time::Duration::from_millis(7),
            trigger: "a saved file".into(),
            actions: vec![ActionLine::of(&id, &action)],
            held: 1,
            settled: 2,
        };
        store.add_round(&round).await.unwrap();
    }
    let rows = dump(&options).await.iter().filter(|row| row.starts_with("rounds ")).count();
    assert_eq!(rows, 200, "the newest are kept");
    let overview = store.view(&everybody()).overview().await.unwrap();
    assert_eq!((overview.rounds.len(), overview.rounds[0].began_at, overview.rounds[0].milliseconds), (10, at(204), 7));
    assert_eq!(overview.rounds[0].actions[0].pod, Some(id.clone()));
}

#[tokio::test]
async fn a_tenant_shows_what_its_pods_take_of_its_quota() {
    let (store, _) = fresh().await;
    let mut desired = two_tenants().build();
    let tenant = desired.tenants.get_mut(&"alice".parse().unwrap()).unwrap();
    tenant.spec.quota = Some(serde_json::from_str(r#"{"pods": 3, "memory": "4Gi"}"#).unwrap());
    store.sync(&desired, at(0)).await.unwrap();
    store.set_desired(&desired, at(0)).await.unwrap();
    let person = everybody();
    let shown = store.view(&person).tenant(&"alice".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((shown.pods.taken, shown.pods.most), (2, Some(3)));
    assert_eq!((shown.memory_mb.taken, shown.memory_mb.most), (512, Some(4096)), "a stopped pod takes none");
    assert_eq!((shown.milli_cpus.taken, shown.milli_cpus.most), (500, None));

    // A tenant that is no longer declared is shown as long as something of it is there.
    desired.tenants.remove(&"bob".parse().unwrap());
    desired.pods.remove(&pod("bob/helper"));
    is(&store, "bob/helper", Phase::Running, Some("bob_helper-1"), at(1)).await;
    store.sync(&desired, at(2)).await.unwrap();
    store.set_desired(&desired, at(2)).await.unwrap();
    let names = async || {
        store.view(&person).tenants().await.unwrap().into_iter().map(|one| one.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["alice", "bob"]);
    is(&store, "bob/helper", Phase::Deleting, None, at(3)).await;
    assert_eq!(names().await, ["alice"]);
}

#[tokio::test]
async fn the_source_shows_what_was_fetched_what_is_in_force_and_what_was_carried_out() {
    let (store, _) = fresh().await;
    let (files, adapters) = (Default::default(), Default::default());
    let commit = Commit { id: "c0ffee".into(), author: "A <a@b>".into(), summary: "one".into(), committed_at: at(1) };
    let fetched = |hash: &'static str| agentpod::store::Fetched {
        hash,
        origin: "a folder",
        commit: Some(&commit),
        files: &files,
        adapters: &adapters,
    };
    let first = store.accept(&fetched("h1"), at(2)).await.unwrap().id;
    store.mark_synced(first, at(3)).await.unwrap();
    let second = store.accept(&fetched("h2"), at(4)).await.unwrap().id;
    let problem = Problem::of_file("a.yaml", "nonsense");
    let third = store.reject(&fetched("h3"), &[problem], at(5)).await.unwrap().id;
    let person = everybody();
    let view = store.view(&person);
    let source = view.source().await.unwrap().unwrap();
    let id = |line: &Option<agentpod::store::view::RevisionLine>| line.as_ref().unwrap().id;
    assert_eq!((id(&source.fetched), id(&source.accepted), id(&source.synced)), (third, second, first));
    assert_eq!(source.fetched.unwrap().problems[0].what, "nonsense");
    assert_eq!(view.revision(first).await.unwrap().unwrap().commit.unwrap().id, "c0ffee");
    let page = view.revisions(2, None).await.unwrap().unwrap();
    assert_eq!(page.items.iter().map(|one| one.id).collect::<Vec<_>>(), [third, second]);
    let page = view.revisions(2, page.next.as_deref()).await.unwrap().unwrap();
    assert_eq!((page.items.iter().map(|one| one.id).collect::<Vec<_>>(), page.next), (vec![first], None));
}

#[tokio::test]
async fn events_come_newest_first_in_pages_and_by_kind() {
    let (store, _) = fresh().await;
    declare(&store, &two_tenants(), at(0)).await;
    for number in 0..5 {
        let event = Event::of_pod(&pod("bob/helper"), EventKind::Ready, format!("time {number}"));
        store.record(&event, at(number)).await.unwrap();
    }
    let person = everybody();
    let mut query = EventQuery { kind: Some(EventKind::Ready), limit: 2, ..EventQuery::default() };
    let mut messages = Vec::new();
    loop {
        let page = store.view(&person).events(&query).await.unwrap();
        messages.extend(page.items.into_iter().map(|event| event.message));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(messages, ["time 4", "time 3", "time 2", "time 1", "time 0"]);
}

/// The time a question takes, of a hundred: the slowest but one.
async fn p99<T>(what: &str, mut ask: impl AsyncFnMut() -> T) -> f64 {
    let mut times = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        ask().await;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    println!("{what}: p50 {:.1} ms, p99 {:.1} ms", times[50], times[98]);
    times[98]
}

#[tokio::test]
async fn a_thousand_pods_are_listed_and_described_without_waiting() {
    let (store, options) = fresh().await;
    let mut declared = Declared::tenants();
    for number in 0..1000 {
        let tenant = if number % 2 == 0 { "alice" } else { "bob" };
        declared = declared.pod(&format!("{tenant}/p{number}"), &format!("subdomain: p{number}"));
    }
    declare(&store, &declared, at(0)).await;
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO pod_phases (pod_id, phase, phase_since, ready, since, reason, message, container) \
           SELECT id, 'Running', now(), true, now(), 'ProbeSucceeded', 'it is ready', id || '-1' FROM pods; \
         INSERT INTO pod_usage_now SELECT id, now(), 100, 1.5, NULL FROM pods; \
         INSERT INTO pod_events (pod_id, event_type, message) SELECT id, 'ready', 'event ' || n FROM pods, generate_series(1, 20) n; \
         ANALYZE",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let (person, tenant) = (everybody(), of("bob"));
    let overview = p99("glance", async || store.view(&person).overview().await.unwrap()).await;
    let list = PodQuery { sort: PodColumn::Memory, descending: true, ..PodQuery::default() };
    let listed = p99("a page of a hundred", async || store.view(&person).pods(&list).await.unwrap()).await;
    let whole = PodQuery { limit: 1000, ..PodQuery::default() };
    let all = p99("all thousand", async || store.view(&person).pods(&whole).await.unwrap()).await;
    let text = PodQuery { text: Some("p99".into()), ..PodQuery::default() };
    let found = p99("by text", async || store.view(&person).pods(&text).await.unwrap()).await;
    let one = p99("one pod", async || store.view(&person).pod(&pod("bob/p999")).await.unwrap().unwrap()).await;
    let own = p99("a tenant's glance", async || store.view(&tenant).overview().await.unwrap()).await;
    // The machine may be busy with other tests; whoever makes this slow makes it ten times as slow.
    for (what, took) in
        [("glance", overview), ("list", listed), ("all", all), ("text", found), ("one", one), ("own", own)]
    {
        assert!(took < 500.0, "{what} took {took:.1} ms");
    }
}
