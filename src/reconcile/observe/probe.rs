//! Probes agents as their adapters declare it: one task for each live container. Answers go to the reconciler, which
//! evaluates them; nothing is decided in here.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{net::TcpStream, sync::mpsc, task::JoinHandle, time::timeout};
use tracing::debug;

use crate::{
    core::{
        decide::probes::ProbeTarget,
        declare::adapter::{Probe, ProbeKind},
        names::PodId,
        observe::health::ProbeFailure,
        site::Site,
    },
    descriptors,
    engine::{Engine, EngineError},
    reconcile::message::Report,
};

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// How long to wait before a container that is not ready is probed again.
const UNREADY_INTERVAL: Duration = Duration::from_millis(500);

/// The running probes, one for each pod that has one.
#[derive(Debug, Default)]
pub(crate) struct Probers(BTreeMap<PodId, Prober>);

/// A container that is probed repeatedly; dropping it ends that.
#[derive(Debug)]
struct Prober {
    probing: Arc<Probing>,
    task: JoinHandle<()>,
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Probers {
    /// Probes these containers and no others. A container that is already probed continues to be.
    pub(crate) fn probe<'a>(
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
            let probing = Probing {
                pod: target.pod.clone(),
                container: target.container.name.clone(),
                address,
                host: site.host(&declared.subdomain),
                probe: declared.adapter.spec.health.clone(),
            };
            // Whatever it is made of may change while its container stays.
            let is_same = |prober: &Prober| *prober.probing == probing;
            let prober = before.remove(target.pod).filter(is_same).unwrap_or_else(|| {
                let probing = Arc::new(probing);
                let task = tokio::spawn(probing.clone().run(engine.clone(), reports.clone()));
                Prober { probing, task }
            });
            self.0.insert(target.pod.clone(), prober);
        }
    }
}

/// The address to probe, as the engine names it; `None` while there is none.
pub(crate) fn reach(engine: &dyn Engine, target: &ProbeTarget<'_>) -> Option<SocketAddr> {
    let pod = target.desired;
    engine.reach(target.container, &pod.network.name, pod.declared.adapter.spec.port)
}

/// Why a probe has no good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The agent is to blame, as far as can be seen.
    #[error("{}", .0.0)]
    Failed(ProbeFailure),
    /// This process has too many files open to ask it.
    #[error("AgentPod has too many files open")]
    OutOfFiles,
}

impl ProbeError {
    fn failed(why: impl Into<String>) -> Self {
        Self::Failed(ProbeFailure(why.into()))
    }

    /// A failed connection, with what was requested.
    fn connecting(what: impl std::fmt::Display, error: &(dyn std::error::Error + 'static)) -> Self {
        match descriptors::are_exhausted(error) {
            true => Self::OutOfFiles,
            false => Self::failed(format!("{what}: {}", innermost(error))),
        }
    }
}

/// One container's probe: everything that it depends on.
#[derive(Debug, PartialEq)]
struct Probing {
    pod: PodId,
    container: String,
    address: SocketAddr,
    host: String,
    probe: Probe,
}

impl Probing {
    async fn run(self: Arc<Self>, engine: Arc<dyn Engine>, reports: mpsc::UnboundedSender<Report>) {
        let Self { pod, container, address, host, probe } = self.as_ref();
        loop {
            let answer = match probe_once(engine.as_ref(), container, *address, host, probe).await {
                Ok(()) => Ok(()),
                Err(ProbeError::Failed(failure)) => Err(failure),
                Err(ProbeError::OutOfFiles) => {
                    // Nothing was learned about the agent, so nothing is reported about it.
                    debug!(%pod, "not probed: AgentPod has too many files open");
                    tokio::time::sleep(UNREADY_INTERVAL).await;
                    continue;
                }
            };
            let wait = if answer.is_ok() {
                probe.interval.duration()
            } else {
                UNREADY_INTERVAL.max(probe.interval.duration().min(Duration::from_secs(2)) / 2)
            };
            if reports.send(Report::Probed { pod: pod.clone(), container: container.clone(), answer }).is_err() {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }
}

/// Probes once. The error is a sentence that says why it failed.
pub async fn probe_once(
    engine: &dyn Engine,
    container: &str,
    address: SocketAddr,
    host: &str,
    probe: &Probe,
) -> Result<(), ProbeError> {
    let limit = probe.timeout.duration();
    let answer = async {
        match &probe.kind {
            ProbeKind::Tcp(_) => connect(address).await.map(drop),
            ProbeKind::Http(http) => {
                let body = get(address, host, &http.path).await?;
                http.body.as_ref().map_or(Ok(()), |check| {
                    check.check(&body).map_err(|error| ProbeError::failed(format!("{}: {error}", http.path)))
                })
            }
            ProbeKind::Exec(exec) => match engine.exec(container, &exec.command, limit).await {
                Ok(answer) if answer.code == 0 => Ok(()),
                Ok(answer) => {
                    Err(ProbeError::failed(format!("the probe command ended with exit code {}", answer.code)))
                }
                Err(EngineError::OutOfFiles(_)) => Err(ProbeError::OutOfFiles),
                Err(error) => Err(ProbeError::failed(error.to_string())),
            },
            ProbeKind::Websocket(socket) => open_socket(address, host, &socket.path, socket.expect.as_deref()).await,
        }
    };
    timeout(limit, answer)
        .await
        .unwrap_or_else(|_| Err(ProbeError::failed(format!("no answer within {}", probe.timeout))))
}

/// The answer to GET: a text of at most [`MAX_ANSWER`] bytes, or a sentence that says why there is none.
pub async fn get(address: SocketAddr, host: &str, path: &str) -> Result<String, ProbeError> {
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http::<Empty<Bytes>>();
    let request = hyper::Request::get(format!("http://{address}{path}"))
        .header(hyper::header::HOST, host)
        .body(Empty::new())
        .map_err(|error| ProbeError::failed(format!("{path}: {error}")))?;
    let answer = client.request(request).await.map_err(|error| ProbeError::connecting(path, &error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|_| ProbeError::failed(format!("{path}: the answer was cut off or is too long")))?;
    if status != hyper::StatusCode::OK {
        return Err(ProbeError::failed(format!("{path} answers {}", status.as_u16())));
    }
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

async fn connect(address: SocketAddr) -> Result<TcpStream, ProbeError> {
    let failed = |error| ProbeError::connecting(format_args!("port {}", address.port()), &error);
    TcpStream::connect(address).await.map_err(failed)
}

async fn open_socket(address: SocketAddr, host: &str, path: &str, expect: Option<&str>) -> Result<(), ProbeError> {
    let stream = connect(address).await?;
    let (mut socket, _) = tokio_tungstenite::client_async(format!("ws://{host}{path}"), stream)
        .await
        .map_err(|error| ProbeError::failed(format!("{path} did not open a WebSocket: {error}")))?;
    let Some(expect) = expect else { return Ok(()) };
    match socket.next().await {
        Some(Ok(message)) if message.to_text().is_ok_and(|text| text.contains(expect)) => Ok(()),
        Some(Ok(_)) => Err(ProbeError::failed(format!("{path}: the first message does not contain {expect:?}"))),
        Some(Err(error)) => Err(ProbeError::failed(format!("{path}: {error}"))),
        None => Err(ProbeError::failed(format!("{path} closed without a message"))),
    }
}

/// The innermost of a chain of errors: the others only say "client error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
