//! Two hundred people who look at once, while pods change.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use sqlx::PgConnection;
use tokio::{net::TcpStream, task::JoinSet, time::interval};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
use tokio_util::sync::CancellationToken;

use super::{
    Asker, PODS, TOKEN,
    process::{Measured, Process, quantile},
};

/// How many look.
const VIEWERS: usize = 200;
/// How many pods change, ten in a second.
const CHANGES: usize = 200;
const BETWEEN: Duration = Duration::from_millis(100);
/// How often a page that changes is asked for by each viewer.
const REFRESH: Duration = Duration::from_secs(2);

/// What all viewers saw: of each change by when, and how often.
#[derive(Default)]
struct Seen {
    changes: Mutex<BTreeMap<usize, (usize, Option<Instant>)>>,
    pictures: AtomicU64,
    bytes: AtomicU64,
}

impl Seen {
    fn take(&self, text: &str) {
        self.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
        if text.starts_with(r#"{"type":"snapshot""#) {
            self.pictures.fetch_add(1, Ordering::Relaxed);
        } else if let Some((_, rest)) = text.split_once("change number ") {
            let number = rest.split(' ').next().unwrap().parse().unwrap();
            let mut changes = self.changes.lock().unwrap();
            let (count, last) = changes.entry(number).or_default();
            *count += 1;
            *last = Some(Instant::now());
        }
    }
}

/// Has one pod after the other say something new; answers when each change was in.
async fn change(database: &mut PgConnection) -> Vec<Instant> {
    let mut times = Vec::with_capacity(CHANGES);
    let mut next = interval(BETWEEN);
    for number in 0..CHANGES {
        next.tick().await;
        let place = number * 7 % PODS;
        sqlx::query(
            "UPDATE pod_phases SET message = $1 WHERE pod_id = (SELECT id FROM pods ORDER BY id LIMIT 1 OFFSET $2)",
        )
        .bind(format!("change number {number} of the bench"))
        .bind(place as i64)
        .execute(&mut *database)
        .await
        .unwrap();
        times.push(Instant::now());
    }
    times
}

/// Opens all sockets; answers once each has its first picture.
async fn open(process: &Process, seen: &Arc<Seen>, stop: &CancellationToken) -> JoinSet<bool> {
    let mut viewers = JoinSet::new();
    for _ in 0..VIEWERS {
        let mut request = format!("ws://{}/api/v1/watch", process.address).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
        let stream = TcpStream::connect(process.address).await.unwrap();
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        let (seen, stop) = (seen.clone(), stop.clone());
        viewers.spawn(async move {
            loop {
                match stop.run_until_cancelled(socket.next()).await {
                    None => return true,
                    Some(Some(Ok(Message::Text(text)))) if text.contains(r#""type":"ping""#) => {
                        socket.send(Message::text(r#"{"type":"pong"}"#)).await.unwrap();
                    }
                    Some(Some(Ok(Message::Text(text)))) => seen.take(&text),
                    Some(Some(Ok(_))) => {}
                    Some(_) => return false,
                }
            }
        });
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while seen.pictures.load(Ordering::Relaxed) < VIEWERS as u64 {
        assert!(Instant::now() < deadline, "not every viewer is shown the first picture");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    viewers
}

/// Whether every change was seen by everybody, how soon by the last; what it cost.
pub async fn look_on(process: &Process, database: &mut PgConnection) {
    let before = process.memory();
    let (seen, stop) = (Arc::new(Seen::default()), CancellationToken::new());
    let viewers = open(process, &seen, &stop).await;
    println!(
        "\n{VIEWERS} viewers over WebSockets: memory of the server {before:.0} MiB before, {:.0} MiB with them",
        process.memory()
    );
    let quiet = Measured::of(process);
    tokio::time::sleep(Duration::from_secs(10)).await;
    println!("nothing changes: {}", quiet.until_now(process));
    let busy = Measured::of(process);
    let times = change(database).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    let all = || seen.changes.lock().unwrap().values().map(|(count, _)| count).sum::<usize>();
    while all() < CHANGES * VIEWERS && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("ten pods change a second: {}", busy.until_now(process));
    let changes = seen.changes.lock().unwrap().clone();
    let mut late: Vec<Duration> = changes
        .iter()
        .filter_map(|(number, (_, last))| Some((*last)?.saturating_duration_since(times[*number])))
        .collect();
    stop.cancel();
    let held = viewers.join_all().await.into_iter().filter(|held| *held).count();
    println!(
        "{} of {} changes received, {} pictures sent anew, {held} of {VIEWERS} viewers held; from the commit to the last viewer: \
         p50 {}, p99 {}; {} KiB to each",
        all(),
        CHANGES * VIEWERS,
        seen.pictures.load(Ordering::Relaxed) - VIEWERS as u64,
        quantile(&mut late, 0.5),
        quantile(&mut late, 0.99),
        seen.bytes.load(Ordering::Relaxed) / 1024 / VIEWERS as u64,
    );
}

/// What it costs when each of them has the overview open: the script asks for the page again when something changed, at
/// most each two seconds.
pub async fn refresh(process: &Process, database: &mut PgConnection) {
    let (seen, stop) = (Arc::new(Seen::default()), CancellationToken::new());
    let viewers = open(process, &seen, &stop).await;
    let measured = Measured::of(process);
    let mut askers = JoinSet::new();
    for number in 0..VIEWERS {
        let (asker, stop) = (Asker::new(process.address), stop.clone());
        askers.spawn(async move {
            let mut times = Vec::new();
            // As the script does: not all at the same moment, and never two at a time.
            let phase = REFRESH * u32::try_from(number).unwrap() / u32::try_from(VIEWERS).unwrap();
            stop.run_until_cancelled(tokio::time::sleep(phase)).await;
            let mut next = interval(REFRESH);
            next.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while stop.run_until_cancelled(next.tick()).await.is_some() {
                let begun = Instant::now();
                asker.get("/dashboard", "gzip").await;
                times.push(begun.elapsed());
            }
            times
        });
    }
    change(database).await;
    let spent = measured.until_now(process);
    stop.cancel();
    viewers.join_all().await;
    let mut times: Vec<Duration> = askers.join_all().await.into_iter().flatten().collect();
    println!(
        "\n{VIEWERS} viewers ask for /dashboard each {} s, ten pods change a second: {} answers, p50 {}, p99 {}; {spent}",
        REFRESH.as_secs(),
        times.len(),
        quantile(&mut times, 0.5),
        quantile(&mut times, 0.99),
    );
}
