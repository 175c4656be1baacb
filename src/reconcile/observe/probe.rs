//! Asks agents whether they are ready, as their adapters declare it: one task for each live container. Answers go to
//! the reconciler, which judges them; nothing is decided in here.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{net::TcpStream, sync::mpsc, task::JoinHandle, time::timeout};

use crate::{
    core::{
        decide::probes::ProbeTarget,
        declare::adapter::{Probe, ProbeKind},
        names::PodId,
        site::Site,
    },
    engine::Engine,
    reconcile::message::Report,
};

/// The most an answer may hold, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// How soon a container that is not ready is asked again.
const IMPATIENCE: Duration = Duration::from_millis(500);

/// The probes under way, one for each pod that has one.
#[derive(Debug, Default)]
pub(crate) struct Probers(BTreeMap<PodId, Prober>);

/// A container that is probed again and again; dropping it ends that.
#[derive(Debug)]
struct Prober {
    container: String,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Probers {
    /// Probes these containers, and no others any more. A container that is probed already goes on being probed.
    pub fn probe<'a>(
        &mut self,
        targets: impl Iterator<Item = ProbeTarget<'a>>,
        site: &Site,
        engine: &Arc<dyn Engine>,
        reports: &mpsc::UnboundedSender<Report>,
    ) {
        let mut before = std::mem::take(&mut self.0);
        for target in targets {
            let declared = &target.desired.declared;
            let Some(address) = reach(engine.as_ref(), &target) else { continue };
            let is_same = |prober: &Prober| prober.container == target.container.name && prober.address == address;
            let prober = before.remove(target.pod).filter(is_same).unwrap_or_else(|| {
                let (container, host) = (target.container.name.clone(), site.host(&declared.subdomain));
                let probe = declared.adapter.spec.health.clone();
                let task = Probing { pod: target.pod.clone(), container: container.clone(), address, host, probe };
                let task = tokio::spawn(task.run(engine.clone(), reports.clone()));
                Prober { container, address, task }
            });
            self.0.insert(target.pod.clone(), prober);
        }
    }
}

/// Where a container is probed, as the engine names it; `None` while it cannot be.
pub(crate) fn reach(engine: &dyn Engine, target: &ProbeTarget<'_>) -> Option<SocketAddr> {
    let pod = target.desired;
    engine.reach(target.container, &pod.network.name, pod.declared.adapter.spec.port)
}

/// One container's probe.
struct Probing {
    pod: PodId,
    container: String,
    address: SocketAddr,
    host: String,
    probe: Probe,
}

impl Probing {
    async fn run(self, engine: Arc<dyn Engine>, reports: mpsc::UnboundedSender<Report>) {
        let Self { pod, container, address, host, probe } = self;
        loop {
            let answer = ask(engine.as_ref(), &container, address, &host, &probe).await;
            let wait = if answer.is_ok() {
                probe.interval.duration()
            } else {
                IMPATIENCE.max(probe.interval.duration().min(Duration::from_secs(2)) / 2)
            };
            if reports.send(Report::Probed { pod: pod.clone(), container: container.clone(), answer }).is_err() {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }
}

/// Asks once. The answer is good, or a sentence that says why not.
pub async fn ask(
    engine: &dyn Engine,
    container: &str,
    address: SocketAddr,
    host: &str,
    probe: &Probe,
) -> Result<(), String> {
    let limit = probe.timeout.duration();
    let asked = async {
        match &probe.kind {
            ProbeKind::Tcp(_) => {
                TcpStream::connect(address).await.map(drop).map_err(|error| format!("port {}: {error}", address.port()))
            }
            ProbeKind::Http(http) => {
                let body = get(address, host, &http.path).await?;
                http.body
                    .as_ref()
                    .map_or(Ok(()), |check| check.check(&body).map_err(|error| format!("{}: {error}", http.path)))
            }
            ProbeKind::Exec(exec) => {
                let answer = engine.exec(container, &exec.command, limit).await.map_err(|error| error.to_string())?;
                if answer.code == 0 {
                    Ok(())
                } else {
                    Err(format!("the probe command ended with exit code {}", answer.code))
                }
            }
            ProbeKind::Websocket(socket) => open_socket(address, host, &socket.path, socket.expect.as_deref()).await,
        }
    };
    timeout(limit, asked).await.unwrap_or_else(|_| Err(format!("no answer within {}", probe.timeout)))
}

/// What an address answers to GET: a text of at most [`MAX_ANSWER`] bytes, or a sentence on why none.
pub async fn get(address: SocketAddr, host: &str, path: &str) -> Result<String, String> {
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http::<Empty<Bytes>>();
    let request = hyper::Request::get(format!("http://{address}{path}"))
        .header(hyper::header::HOST, host)
        .body(Empty::new())
        .map_err(|error| format!("{path}: {error}"))?;
    let answer = client.request(request).await.map_err(|error| format!("{path}: {}", innermost(&error)))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|_| format!("{path}: the answer broke off or is too long"))?;
    if status != hyper::StatusCode::OK {
        return Err(format!("{path} answers {}", status.as_u16()));
    }
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

async fn open_socket(address: SocketAddr, host: &str, path: &str, expect: Option<&str>) -> Result<(), String> {
    let stream = TcpStream::connect(address).await.map_err(|error| format!("port {}: {error}", address.port()))?;
    let (mut socket, _) = tokio_tungstenite::client_async(format!("ws://{host}{path}"), stream)
        .await
        .map_err(|error| format!("{path} opens no WebSocket: {error}"))?;
    let Some(expect) = expect else { return Ok(()) };
    match socket.next().await {
        Some(Ok(message)) if message.to_text().is_ok_and(|text| text.contains(expect)) => Ok(()),
        Some(Ok(_)) => Err(format!("{path}: the first message does not hold {expect:?}")),
        Some(Err(error)) => Err(format!("{path}: {error}")),
        None => Err(format!("{path} closed without a word")),
    }
}

/// The sentence at the bottom of a chain of errors: the others only say "client error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
