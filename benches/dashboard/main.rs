//! What the dashboard costs with a thousand pods: how soon pages and the API answer, how large the first view is, what the
//! fleet at rest costs, and what two hundred viewers cost while pods change. The server is a process of its own (this
//! program again, see `server`), with the real reconciler, read model and PostgreSQL; only the engine is in memory.

#![allow(clippy::disallowed_methods, reason = "tests and benches read the clock")]

#[path = "../../tests/testkit/mod.rs"]
mod testkit;

mod process;
mod server;
mod viewers;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use agentpod::dashboard::assets;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use process::{Measured, Process, quantile};
use sqlx::{Connection, PgConnection};
use testkit::postgres;

/// How many pods there are: a tenth of that many tenants with ten each.
pub const PODS: usize = 1000;
/// How often each address is asked.
const TIMES: usize = 400;
/// How long the fleet at rest is looked at.
const REST: Duration = Duration::from_secs(20);

/// The token of somebody who sees everything.
pub const TOKEN: &str = "agp_bench_0123456789abcdef";

/// Asks as a browser does: over connections that are kept, for compressed answers.
pub struct Asker {
    address: SocketAddr,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Asker {
    /// A client of the server at this address.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// The answer's body as it came over the wire.
    ///
    /// # Panics
    /// If there is no good answer: then there is nothing to measure.
    pub async fn get(&self, path: &str, encoding: &str) -> Bytes {
        let request = Request::get(format!("http://{}{path}", self.address))
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
            .header(header::ACCEPT_ENCODING, encoding)
            .body(Empty::new())
            .unwrap();
        let answer = self.client.request(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.into_body().collect().await.unwrap().to_bytes()
    }
}

async fn answers(asker: &Asker) {
    println!("\n{TIMES} answers each, one after the other        p50       p99   compressed");
    let last = last_page(asker).await;
    for path in [
        "/dashboard",
        "/dashboard/pods",
        "/dashboard/pods?q=t7&phase=Running",
        "/dashboard/pods?sort=-memory",
        &last,
        "/dashboard/pods/t7/p3",
        "/dashboard/tenants",
        "/dashboard/source",
        "/api/v1/pods",
        "/api/v1/pods?limit=1000",
    ] {
        let mut size = 0;
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let begun = Instant::now();
            size = asker.get(path, "gzip").await.len();
            times.push(begun.elapsed());
        }
        let name = path.split("&after").next().unwrap_or(path);
        let name = if path == last { "/dashboard/pods (last page)" } else { name };
        let (middle, most) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
        println!("{name:40} {middle:>9} {most:>9} {size:>9} B");
    }
}

/// The address of the last page of pods.
async fn last_page(asker: &Asker) -> String {
    let mut path = "/dashboard/pods".to_owned();
    loop {
        let text = String::from_utf8(asker.get(&path, "identity").await.to_vec()).unwrap();
        let Some(next) = text.split("rel=\"next\" href=\"").nth(1) else { return path };
        path = next.split('"').next().unwrap().replace("&amp;", "&").replace("&#x2f;", "/");
    }
}

/// The page and everything it needs, as a browser without a cache gets it.
async fn first_view(asker: &Asker) {
    for page in ["/dashboard", "/dashboard/pods"] {
        for encoding in ["gzip", "identity"] {
            let mut size = asker.get(page, encoding).await.len();
            for asset in assets::all() {
                size += asker.get(&asset.path(), encoding).await.len();
            }
            println!("first view of {page}, all files, {encoding}: {size} B");
        }
    }
}

/// What rounds over a fleet at rest cost and write.
async fn at_rest(asker: &Asker, process: &Process, database: &mut PgConnection) {
    let rounds = async || {
        let text = String::from_utf8(asker.get("/metrics", "identity").await.to_vec()).unwrap();
        let read = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        (read("agentpod_round_duration_seconds_count").unwrap(), read("agentpod_round_duration_seconds_sum").unwrap())
    };
    let (written, before, measured) = (written(database).await, rounds().await, Measured::of(process));
    tokio::time::sleep(REST).await;
    let (cost, after) = (measured.until_now(process), rounds().await);
    let count = after.0 - before.0;
    println!(
        "\nat rest, {PODS} pods probed each 5 s: {count} rounds in {} s, {:.1} ms each; {cost}",
        REST.as_secs(),
        (after.1 - before.1) / count * 1e3
    );
    let now = self::written(database).await;
    let rows: Vec<String> = now
        .iter()
        .filter_map(|(table, rows)| {
            let more = rows - written.iter().find(|(name, _)| name == table).map_or(0, |(_, before)| *before);
            (more > 0).then(|| format!("{table}: {more}"))
        })
        .collect();
    println!("rows written meanwhile: {}", if rows.is_empty() { "none".into() } else { rows.join(", ") });
}

/// How many rows were ever written into each table.
async fn written(database: &mut PgConnection) -> Vec<(String, i64)> {
    // The server's processes hand in what they counted within a second of doing it.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    sqlx::query_as("SELECT relname::text, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables ORDER BY 1")
        .fetch_all(database)
        .await
        .unwrap()
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, folder, database, port] = &arguments[..]
        && word == "serve"
    {
        return server::serve(folder, database, port.parse().unwrap()).await;
    }
    let postgres = postgres::Server::start_new();
    let options = postgres.database().await;
    let begun = Instant::now();
    let process = Process::start(&options, server::answer_probes().await).await;
    println!(
        "{PODS} pods created, started and ready after {:.0} s; memory of the server {:.0} MiB",
        begun.elapsed().as_secs_f64(),
        process.memory()
    );
    let mut database = PgConnection::connect_with(&options).await.unwrap();
    sqlx::query("ANALYZE").execute(&mut database).await.unwrap();
    let asker = Asker::new(process.address);
    first_view(&asker).await;
    answers(&asker).await;
    at_rest(&asker, &process, &mut database).await;
    viewers::look_on(&process, &mut database).await;
    viewers::refresh(&process, &mut database).await;
}
