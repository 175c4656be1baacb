//! A git server over HTTP: git's own `http-backend` behind a small HTTP/1.1 server that asks for a password, counts what
//! it is asked, and can be told to misbehave.

use std::{
    convert::Infallible,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, Once},
};

use agentpod::source::git::{HTTP_SCHEME, http_transport};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncWriteExt, net::TcpListener, process::Command, task::JoinHandle};

/// How the server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Well,
    /// Not at all.
    Never,
    /// By hanging up.
    HangsUp,
    /// By sending whoever asks to another address.
    SendsTo(String),
    /// With this status and body.
    Says(u16, String),
    /// With a list of references that never ends.
    ListsWithoutEnd,
}

/// The server; gone when it is dropped.
pub struct GitHttp {
    port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

struct State {
    root: String,
    login: Option<String>,
    manner: Manner,
    /// The path of a repository that was moved, and where it is now.
    moved: Option<(String, String)>,
    asked: Vec<String>,
    refused: usize,
}

impl GitHttp {
    /// Serves the repositories in a folder, to whoever says `user:password` if one is given.
    pub async fn start(root: &Path, login: Option<&str>) -> Self {
        register();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            root: root.display().to_string(),
            login: login.map(str::to_owned),
            manner: Manner::Well,
            moved: None,
            asked: Vec::new(),
            refused: 0,
        }));
        let task = tokio::spawn(serve(listener, state.clone()));
        Self { port, state, task }
    }

    /// The address of `repo.git`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/repo.git", self.port)
    }

    /// From now on only whoever says this is let in.
    pub fn let_in(&self, login: &str) {
        self.state.lock().unwrap().login = Some(login.to_owned());
    }

    /// From now on it answers like this.
    pub fn answers(&self, manner: Manner) {
        self.state.lock().unwrap().manner = manner;
    }

    /// From now on whoever asks for this path is sent to the other.
    pub fn moves(&self, from: &str, to: &str) {
        self.state.lock().unwrap().moved = Some((from.to_owned(), to.to_owned()));
    }

    /// What it was asked since this was called last: method and path of each request.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    /// How many requests were not let in so far.
    pub fn refused(&self) -> usize {
        self.state.lock().unwrap().refused
    }
}

impl Drop for GitHttp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        let service = service_fn(move |request| answer(request, state.clone()));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// Makes AgentPod's transport known to libgit2, as its program does at its start.
#[expect(unsafe_code, reason = "libgit2 keeps its transports in a global")]
fn register() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        // SAFETY: it is done once, before the first fetch over HTTP looks for it.
        unsafe { git2::transport::register(HTTP_SCHEME, http_transport).unwrap() };
    });
}

type Body = BoxBody<Bytes, Infallible>;

/// A list of references that goes on as long as it is read.
fn endless() -> Response<Body> {
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let mut number = 0_u64;
    let more = futures_util::stream::repeat_with(move || {
        let mut part = String::new();
        if number == 0 {
            part += &line("# service=git-upload-pack\n");
            part += "0000";
            part += &line(&format!("{} HEAD\0multi_ack side-band-64k ofs-delta\n", "ab".repeat(20)));
        }
        for _ in 0..1_000 {
            number += 1;
            part += &line(&format!("{number:040x} refs/heads/a-branch-of-many-{number}\n"));
        }
        Ok(Frame::data(Bytes::from(part)))
    });
    let kind = "application/x-git-upload-pack-advertisement";
    plain(200, kind).body(BodyExt::boxed(StreamBody::new(more))).unwrap()
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Response<Body>, String> {
    let (head, body) = request.into_parts();
    let (root, mut manner, moved, is_let_in) = {
        let mut state = state.lock().unwrap();
        state.asked.push(format!("{} {}", head.method, head.uri));
        let expected = state.login.as_ref().map(|login| format!("Basic {}", BASE64_STANDARD.encode(login)));
        let shown = head.headers.get("authorization").and_then(|value| value.to_str().ok());
        let is_let_in = expected.is_none() || expected.as_deref() == shown;
        state.refused += usize::from(!is_let_in);
        (state.root.clone(), state.manner.clone(), state.moved.clone(), is_let_in)
    };
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    if let Some((from, to)) = moved.filter(|(from, _)| target.starts_with(from)) {
        manner = Manner::SendsTo(target.replacen(&from, &to, 1));
    }
    match manner {
        Manner::Well => {}
        Manner::Never => std::future::pending().await,
        Manner::HangsUp => return Err("hung up".into()),
        Manner::SendsTo(address) => {
            return Ok(plain(302, "").header("location", address).body(Full::default().boxed()).unwrap());
        }
        Manner::ListsWithoutEnd => return Ok(endless()),
        Manner::Says(status, body) => return Ok(plain(status, "text/plain").body(Full::from(body).boxed()).unwrap()),
    }
    if !is_let_in {
        let ask = plain(401, "text/plain").header("www-authenticate", "Basic realm=\"git\"");
        return Ok(ask.body(Full::from("who are you?").boxed()).unwrap());
    }
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REQUEST_METHOD", head.method.as_str())
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", head.headers.get("content-type").map_or("", |value| value.to_str().unwrap()))
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    backend.stdin.take().unwrap().write_all(&body).await.map_err(|error| error.to_string())?;
    let output = backend.wait_with_output().await.unwrap().stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").expect("git http-backend answers with headers");
    let text = String::from_utf8_lossy(&output[..end]).into_owned();
    let headers: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(": ")).collect();
    let status =
        headers.iter().find(|(name, _)| *name == "Status").map_or(200, |(_, value)| value[..3].parse().unwrap());
    let mut answer = Response::builder().status(status);
    for (name, value) in headers.into_iter().filter(|(name, _)| *name != "Status") {
        answer = answer.header(name, value);
    }
    Ok(answer.body(Full::from(output[end + 4..].to_vec()).boxed()).unwrap())
}

fn plain(status: u16, kind: &str) -> http::response::Builder {
    let answer = Response::builder().status(status);
    if kind.is_empty() { answer } else { answer.header("content-type", kind) }
}
