//! What can be asked over HTTP and the WebSocket. Every answer but the page, a stored file and an environment
//! value is JSON, also the 404.

use std::convert::Infallible;
use std::env;
use std::path::PathBuf;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use warp::Filter;
use warp::http::{HeaderMap, Response, StatusCode};
use warp::ws::{Message, WebSocket};

use crate::{Agent, CRASHED, TICKET};

type Answer = Response<Vec<u8>>;

/// How long a ticket can be used.
const VALID: Duration = Duration::from_secs(600);

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
const JSON: &str = "application/json";

pub fn all(agent: Arc<Agent>) -> impl Filter<Extract = (impl warp::Reply,), Error = Infallible> + Clone {
    use warp::{any, body, get, header, path, path::end, post, put, ws};
    let agent = any().map(move || agent.clone());

    let query = warp::query::raw().or(any().map(String::new)).unify();
    let home = get().and(end()).and(query).and(agent.clone()).map(page);
    let health = get().and(path!("health")).and(agent.clone()).map(health);
    let fail = post().and(path!("health" / "fail")).and(agent.clone()).map(|agent| set_health(agent, true));
    let pass = post().and(path!("health" / "pass")).and(agent.clone()).map(|agent| set_health(agent, false));
    let config = get().and(path!("config")).and(agent.clone()).then(config_file);
    let variable = get().and(path!("env" / String)).map(variable);
    let store = put().and(path!("data" / String)).and(body::bytes()).and(agent.clone()).then(
        async |name: String, body, agent: Arc<Agent>| match data_file(&agent, &name) {
            None => problem(StatusCode::BAD_REQUEST, "a name has letters, digits, '.', '_' and '-' only"),
            Some(file) => match tokio::fs::write(file, body).await {
                Ok(()) => json_answer(StatusCode::OK, &json!({"ok": true})),
                Err(why) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("cannot store it: {why}")),
            },
        },
    );
    let fetch = get().and(path!("data" / String)).and(agent.clone()).then(async |name: String, agent: Arc<Agent>| {
        match data_file(&agent, &name) {
            None => not_found(),
            Some(file) => tokio::fs::read(file).await.map_or_else(|_| not_found(), |body| answer(BYTES, body)),
        }
    });
    let whoami = get().and(path!("whoami")).and(header::headers_cloned()).and(agent.clone()).map(whoami);
    let crash = post().and(path!("crash")).map(|| -> Answer {
        eprintln!("echo: crashing, as POST /crash asks");
        exit(CRASHED)
    });
    let http = home.or(health).unify().or(fail).unify().or(pass).unify().or(config).unify().or(variable).unify();
    let http = http.or(store).unify().or(fetch).unify().or(whoami).unify().or(crash).unify();
    let socket = path!("ws")
        .and(ws())
        .and(agent)
        .map(|upgrade: warp::ws::Ws, agent: Arc<Agent>| upgrade.on_upgrade(move |socket| talk(socket, agent)));
    socket.or(http).or(any().map(not_found))
}

/// The greeting as it is in the file now: it can be changed while we run.
fn page(query: String, agent: Arc<Agent>) -> Answer {
    let greeting = agent.place.read_config().map_or_else(|_| agent.config.greeting.clone(), |config| config.greeting);
    let login = match query.strip_prefix("ticket=") {
        None => "",
        Some(ticket) if takes(ticket) => "You came in with a login link, which cannot be used again. ",
        Some(_) => "Your login link is not valid any more. ",
    };
    let html =
        include_str!("page.html").replace("{{tenant}}", &escape(&agent.place.tenant)).replace("{{login}}", login);
    answer(HTML, html.replace("{{greeting}}", &escape(&greeting)).into_bytes())
}

/// Whether it is the ticket that was made last, less than ten minutes ago; it is gone then.
fn takes(ticket: &str) -> bool {
    let age = std::fs::metadata(TICKET).and_then(|file| file.modified()).map(|made| made.elapsed().unwrap_or_default());
    let right = age.is_ok_and(|age| age < VALID) && std::fs::read_to_string(TICKET).is_ok_and(|kept| kept == ticket);
    right && std::fs::remove_file(TICKET).is_ok()
}

fn health(agent: Arc<Agent>) -> Answer {
    let why = if Instant::now() < agent.ready_at {
        "starting"
    } else if agent.told_to_fail.load(Relaxed) {
        "told to fail"
    } else {
        return json_answer(StatusCode::OK, &json!({"ok": true}));
    };
    json_answer(StatusCode::SERVICE_UNAVAILABLE, &json!({"ok": false, "why": why}))
}

fn set_health(agent: Arc<Agent>, failing: bool) -> Answer {
    agent.told_to_fail.store(failing, Relaxed);
    json_answer(StatusCode::OK, &json!({"failing": failing}))
}

/// The file as it is now, not as it was read at start: so a hot update can be seen.
async fn config_file(agent: Arc<Agent>) -> Answer {
    match tokio::fs::read(&agent.place.config_file).await {
        Ok(text) => answer(JSON, text),
        Err(why) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("cannot read the config: {why}")),
    }
}

fn variable(name: String) -> Answer {
    env::var(name).map_or_else(|_| not_found(), |value| answer(TEXT, value.into_bytes()))
}

fn whoami(headers: HeaderMap, agent: Arc<Agent>) -> Answer {
    let telling = |name: &str| matches!(name, "host" | "origin") || name.starts_with("x-forwarded-");
    let seen: Map<String, Value> = (headers.iter())
        .filter(|(name, _)| telling(name.as_str()))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let names = &agent.config.secret_names;
    let secrets: Map<String, Value> =
        names.iter().map(|name| (name.clone(), env::var_os(name).is_some().into())).collect();
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let started = agent.started_at_ms as u64;
    json_answer(
        StatusCode::OK,
        &json!({
            "tenant": agent.place.tenant,
            "hostname": hostname.trim(),
            "startedAtMs": started,
            "headers": seen,
            "secretsSet": secrets,
        }),
    )
}

async fn talk(mut socket: WebSocket, agent: Arc<Agent>) {
    let hello = Message::text(json!({"hello": agent.place.tenant}).to_string());
    if socket.send(hello).await.is_err() {
        return;
    }
    while let Some(Ok(message)) = socket.next().await {
        let wordy = message.is_text() || message.is_binary();
        if wordy && socket.send(message).await.is_err() {
            return;
        }
    }
}

fn data_file(agent: &Agent, name: &str) -> Option<PathBuf> {
    let safe = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let fine = !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(safe);
    fine.then(|| agent.place.data_dir.join(name))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn not_found() -> Answer {
    problem(StatusCode::NOT_FOUND, "there is nothing here")
}

fn problem(status: StatusCode, why: &str) -> Answer {
    json_answer(status, &json!({"error": why}))
}

fn json_answer(status: StatusCode, value: &Value) -> Answer {
    let mut answer = answer(JSON, value.to_string().into_bytes());
    *answer.status_mut() = status;
    answer
}

fn answer(kind: &'static str, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(body);
    answer.headers_mut().insert("content-type", warp::http::HeaderValue::from_static(kind));
    answer
}
