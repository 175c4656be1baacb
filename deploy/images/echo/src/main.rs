//! `echo`: AgentPod's own tiny agent, for demos and tests. It behaves like a real one (a config file, secrets in
//! the environment, a data volume, HTTP, a WebSocket, health, signals) and can be told to misbehave: fail its
//! health, start slowly, crash. It shows whatever it was given to whoever asks, so it must never hold a real secret.

mod config;
mod routes;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use config::{Config, Place};

/// How long requests under way may take once we are asked to stop.
const LAST_REQUESTS: Duration = Duration::from_millis(800);
const HEALTH_ANSWER: Duration = Duration::from_secs(2);
/// `sysexits.h`: the config is wrong, trying again won't help.
const BAD_CONFIG: i32 = 78;
const CRASHED: i32 = 3;

/// The ticket that the next visitor may bring.
const TICKET: &str = "/tmp/ticket";

/// Everything a request may look at.
pub struct Agent {
    place: Place,
    /// As it was at the start; what may change meanwhile is read again.
    config: Config,
    told_to_fail: AtomicBool,
    ready_at: Instant,
    started_at_ms: u128,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let place = Place::from_env().unwrap_or_else(|why| fail(&why, BAD_CONFIG));
    match std::env::args().nth(1).as_deref() {
        Some("health") => exit(health_command(place.port)),
        Some("login") => exit(login_command(&place)),
        _ => {}
    }
    let config = place.read_config().unwrap_or_else(|why| fail(&why, BAD_CONFIG));
    if config.crash_on_start {
        fail("crashing, as crashOnStart asks", CRASHED);
    }

    let agent = Arc::new(Agent {
        ready_at: Instant::now() + config.start_delay,
        config,
        told_to_fail: AtomicBool::new(false),
        started_at_ms: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis(),
        place,
    });
    // Listen for signals before anybody can reach us: as process 1 an unhandled SIGTERM is dropped.
    let (asked_to_stop, stopped) = tokio::sync::oneshot::channel();
    tokio::spawn(on_signals(asked_to_stop));

    let port = agent.place.port;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .await
        .unwrap_or_else(|why| fail(&format!("cannot listen on port {port}: {why}"), 1));
    println!("echo: started for {:?} on port {port}, config {}", agent.place.tenant, agent.place.config_file.display());

    let stop = async { drop(stopped.await) };
    warp::serve(routes::all(agent)).incoming(listener).graceful(stop).run().await;
}

/// Says which signal came, and ends the process with 0.
async fn on_signals(stop: tokio::sync::oneshot::Sender<()>) {
    let listen = |kind| signal(kind).unwrap_or_else(|why| fail(&format!("cannot listen for signals: {why}"), 1));
    let mut term = listen(SignalKind::terminate());
    let mut int = listen(SignalKind::interrupt());
    let name = tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    };
    println!("echo: {name}: stopping");
    drop(stop);
    tokio::time::sleep(LAST_REQUESTS).await;
    exit(0);
}

/// `echo health`: asks the agent in the same container and exits 0 or 1, since the image holds no curl.
fn health_command(port: u16) -> i32 {
    let ask = || -> io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(HEALTH_ANSWER))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().unwrap_or_else(|why| why.to_string());
    println!("{}", answer.lines().last().unwrap_or_default());
    i32::from(!answer.starts_with("HTTP/1.1 200"))
}

/// `echo login`: makes a ticket that the page takes once, and prints the link with it, as JSON.
fn login_command(place: &Place) -> i32 {
    let made = || -> io::Result<String> {
        let mut random = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let ticket: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(TICKET, &ticket)?;
        Ok(ticket)
    };
    match made() {
        Ok(ticket) => println!("{}", serde_json::json!({"url": format!("{}/?ticket={ticket}", place.url)})),
        Err(why) => fail(&format!("cannot keep a ticket in {TICKET}: {why}"), 1),
    }
    0
}

fn fail(why: &str, code: i32) -> ! {
    eprintln!("echo: {why}");
    exit(code)
}
