//! The process that is measured: a reconciler over a thousand pods, and the dashboard in front of what it writes down. The
//! engine is in memory, so that nothing but AgentPod and its database is measured; the agents' answers to probes come from
//! the measuring process.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use agentpod::{
    config::AccessSettings,
    core::{
        access::{Person, Role},
        observe::usage::UsageSample,
    },
    dashboard::{
        Dashboard,
        api::{Api, SettingsView},
        auth::{Auth, Clock},
        live::{Heartbeat, Live},
        routes, serve_on,
    },
    engine::memory::MemoryEngine,
    reconcile::{Mode, Parts, Reconciler, UsageMeter},
    source::{AdapterFolders, Directory, Source},
    store::{InstanceKey, Store},
};
use sqlx::postgres::PgConnectOptions;
use time::OffsetDateTime;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use super::{PODS, TOKEN};
use crate::testkit::{
    reconciler,
    site::{shipped, shipped_folders, site},
};

/// Rounds at rest come more often than in a daemon (30 s), so that there are some to be measured.
const TICK: Duration = Duration::from_secs(2);

/// Serves until our input ends. Says the address once every pod is ready.
pub async fn serve(folder: &str, database: &str, probes: u16) {
    let options =
        PgConnectOptions::new_without_pgpass().socket(Path::new(folder)).username("agentpod").database(database);
    let files = tempfile::tempdir().unwrap();
    let key = InstanceKey::load_or_create(files.path()).unwrap();
    let store = Arc::new(Store::open(options, &key, &"test".parse().unwrap()).await.unwrap());
    let now = OffsetDateTime::now_utc();
    let person = Person { name: "bench".into(), role: Role::Operator, tenant: None };
    store.add_account(&person, None, "the bench", now).await.unwrap();
    store.add_api_token(&TOKEN.into(), "bench", "", None, "the bench", now).await.unwrap().unwrap();
    declare(files.path(), probes);

    let engine = Arc::new(MemoryEngine::default());
    engine.world().now = Some(now);
    engine.world().address = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let (reconciler, view) = Reconciler::new(parts(files.path(), &engine, &store));
    let stop = CancellationToken::new();
    let meter = UsageMeter::new(engine.clone(), store.clone(), view.clone());
    let reconciled = tokio::spawn({
        let run = reconciler.with_tick(TICK).run(Mode::Daemon, None, stop.clone());
        async move { drop(run.await) }
    });
    let mut ready = view.clone();
    let all = |overview: &agentpod::reconcile::DaemonStatus| {
        overview.pods.values().filter(|pod| pod.status.ready && pod.settled).count() == PODS
            && overview.source.synced
            && overview.source.healthy
    };
    ready.wait_for(all).await.unwrap();
    let measured = tokio::spawn(meter.run(stop.clone()));
    let used = tokio::spawn(turn_meters(engine, stop.clone()));

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let clock: Clock = Arc::new(OffsetDateTime::now_utc);
    let auth = Auth::open(store.clone(), AccessSettings::default(), address, clock.clone()).await.unwrap();
    let live = Live::start(store.clone(), Heartbeat::default(), stop.clone());
    let settings = SettingsView { site: Some(site()), domain: "example.com".into(), ..SettingsView::default() };
    let api = Arc::new(Api { store, view: view.clone(), logs: watch::channel(None).1, edits: None, settings, clock });
    let dashboard = Dashboard { auth: auth.clone(), view, hooks: None, api, live: live.clone() };
    let served = serve_on(listener, auth, routes(&dashboard), stop.clone());
    live.is_listening().await;
    println!("{address}");
    let ended = tokio::task::spawn_blocking(|| std::io::Read::read_to_end(&mut std::io::stdin(), &mut Vec::new()));
    ended.await.unwrap().unwrap();
    stop.cancel();
    for task in [reconciled, measured, used, served] {
        task.await.unwrap();
    }
}

/// A file for each tenant, with ten pods, as people write them; and an adapter whose agents are asked at a port.
fn declare(folder: &Path, probes: u16) {
    let adapter = shipped("adapters/echo/adapter.yaml");
    fs::create_dir_all(folder.join("adapters/echo")).unwrap();
    fs::write(folder.join("adapters/echo/adapter.yaml"), adapter.replace("port: 8080", &format!("port: {probes}")))
        .unwrap();
    fs::create_dir(folder.join("manifests")).unwrap();
    for tenant in 0..PODS / 10 {
        let mut text = format!(
            "apiVersion: agentpod.dev/v1\nkind: Tenant\nmetadata: {{name: t{tenant}}}\nspec: {{displayName: Tenant {tenant}, email: t{tenant}@example.com}}\n"
        );
        for pod in 0..10 {
            text += &format!(
                "---\napiVersion: agentpod.dev/v1\nkind: Pod\nmetadata: {{name: p{pod}, tenant: t{tenant}}}\n\
                 spec: {{adapter: echo, subdomain: t{tenant}-p{pod}, config: {{greeting: Hello from {pod}}}}}\n"
            );
        }
        fs::write(folder.join(format!("manifests/t{tenant}.yaml")), text).unwrap();
    }
}

fn parts(folder: &Path, engine: &Arc<MemoryEngine>, store: &Arc<Store>) -> Parts {
    let folders = AdapterFolders { adapters: folder.join("adapters"), ..shipped_folders() };
    let source = Source::Directory(Directory::new(folder.join("manifests")));
    // Room for every pod.
    Parts { folders, ..reconciler::parts(engine, store, source) }
}

/// The containers' meters go on, each at its own speed.
async fn turn_meters(engine: Arc<MemoryEngine>, stop: CancellationToken) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut cpu = 0;
    while stop.run_until_cancelled(second.tick()).await.is_some() {
        let (at, mut world) = (OffsetDateTime::now_utc(), engine.world());
        cpu += 1_000_000;
        let names: Vec<String> = world.containers.keys().cloned().collect();
        for (number, name) in (1..).zip(names) {
            world.readings.insert(name, UsageSample { at, memory: (number % 64) << 20, cpu: cpu * number % u64::MAX });
        }
    }
}

/// Answers every pod's probe, from the measuring process; answers the port.
pub async fn answer_probes() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 1024]).await;
                let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}
