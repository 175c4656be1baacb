//! A viewer's socket: a snapshot, then changes in order; pings in both directions; closed when the visitor is no longer
//! admitted. Keeps one number per viewer and no messages.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use warp::{
    Filter, Reply,
    filters::ws::{Message, WebSocket, Ws},
    http::StatusCode,
};

use super::{Live, ViewerKey, ring::Since};
use crate::{
    core::access::throttle::network,
    dashboard::{
        Routes,
        auth::{Auth, Visitor, visitor},
        gate::ClientAddress,
        live::ViewerSnapshot,
        refusal::Refusal,
        shares::Full,
    },
};

/// The most bytes of a viewer's message.
const LONGEST: usize = 4096;

/// AgentPod stops.
const GOING_AWAY: u16 = 1001;
/// The message is invalid.
const INVALID: u16 = 1008;
/// The database does not answer: try again.
const TRY_AGAIN: u16 = 1013;
/// No longer admitted.
const NOT_ADMITTED: u16 = 4401;
/// Nothing was received for too long.
const NO_PONG: u16 = 4408;

/// The parameters in a viewer's URL.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscription {
    /// The stream and number of the last change they received.
    #[serde(default)]
    stream: Option<String>,
    #[serde(default)]
    after: Option<u64>,
    /// Whether the snapshot includes every pod.
    #[serde(default)]
    pods: bool,
}

/// A viewer's message.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ViewerMessage {
    /// A ping.
    Ping,
    /// A pong.
    Pong,
    /// The viewer missed something: send from this number if possible.
    Resync {
        #[serde(default)]
        stream: Option<String>,
        #[serde(default)]
        after: Option<u64>,
    },
}

/// A viewer.
struct Viewer {
    live: Arc<Live>,
    auth: Arc<Auth>,
    visitor: Visitor,
    subscription: Subscription,
    socket: WebSocket,
    /// The number of the last change they received.
    sent: u64,
}

/// `/api/v1/watch`.
pub(crate) fn routes(live: &Arc<Live>, auth: &Arc<Auth>) -> Routes {
    let (live, auth) = (live.clone(), auth.clone());
    let ws = warp::ws().map(Some).or(warp::any().map(|| None)).unify();
    let subscription = warp::query::<Subscription>().map(Some).or(warp::any().map(|| None)).unify();
    warp::path!("api" / "v1" / "watch")
        .and(visitor())
        .and(warp::ext::optional::<ClientAddress>())
        .and(subscription)
        .and(ws)
        .map(
            move |visitor: Visitor,
                  client: Option<ClientAddress>,
                  subscription: Option<Subscription>,
                  ws: Option<Ws>| {
                let refused =
                    |status, detail: &str| Refusal { status, detail: detail.into(), retry_after: None }.into_response();
                let Some(ws) = ws else {
                    return refused(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket; send an upgrade request");
                };
                let Some(subscription) = subscription else {
                    return refused(
                        StatusCode::BAD_REQUEST,
                        "the parameters are: stream, after (a number), pods (true or false)",
                    );
                };
                let address = client.map(|ClientAddress(address)| ViewerKey::Address(network(address)));
                let keys: Vec<_> =
                    [Some(ViewerKey::Account(visitor.person.name.clone())), address].into_iter().flatten().collect();
                let place = match live.places.take(&keys) {
                    Ok(place) => place,
                    Err(Full::All) => return Refusal::unavailable("too many viewers").into_response(),
                    Err(Full::Share) => {
                        return Refusal::unavailable("this account or address has too many viewers; close some")
                            .into_response();
                    }
                };
                let (live, auth) = (live.clone(), auth.clone());
                let upgraded = ws.max_message_size(LONGEST).max_frame_size(LONGEST).on_upgrade(move |socket| {
                    let tracker = live.sockets.clone();
                    tracker.track_future(async move {
                        let viewer = Viewer { live, auth, visitor, subscription, socket, sent: 0 };
                        viewer.run().await;
                        drop(place);
                    })
                });
                upgraded.into_response()
            },
        )
        .boxed()
}

impl Viewer {
    async fn run(mut self) {
        let (code, why) = match self.send_changes().await {
            Ok(()) => return,
            Err(End::Gone) => return,
            Err(End::Close(code, why)) => (code, why),
        };
        // A viewer who does not receive even this is gone.
        let _ = tokio::time::timeout(Duration::from_secs(2), async {
            self.socket.send(Message::close_with(code, why)).await?;
            self.socket.close().await
        })
        .await;
    }

    async fn send_changes(&mut self) -> Result<(), End> {
        let mut news = self.live.news.subscribe();
        let heartbeat = self.live.heartbeat;
        let (stream, after) = (self.subscription.stream.clone(), self.subscription.after);
        self.resume(stream.as_deref(), after).await?;
        let mut beat = tokio::time::interval_at(crate::clock::runtime_instant() + heartbeat.ping, heartbeat.ping);
        let mut heard = crate::clock::runtime_instant();
        let stop = self.live.stop.clone();
        let (auth, visitor) = (self.auth.clone(), self.visitor.clone());
        let out = auth.until_not_admitted(&visitor, heartbeat.ping);
        tokio::pin!(out);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Err(End::Close(GOING_AWAY, "AgentPod stops")),
                () = &mut out => return Err(End::Close(NOT_ADMITTED, "sign in again")),
                said = self.socket.next() => {
                    let Some(Ok(said)) = said else { return Err(End::Gone) };
                    heard = crate::clock::runtime_instant();
                    self.answer(&said).await?;
                }
                changed = news.changed() => {
                    changed.map_err(|_| End::Gone)?;
                    self.catch_up().await?;
                }
                _ = beat.tick() => {
                    if heard.elapsed() > heartbeat.silence {
                        return Err(End::Close(NO_PONG, "no pong received"));
                    }
                    self.send(r#"{"type":"ping"}"#).await?;
                }
            }
        }
    }

    /// Continues where they were, or sends a snapshot.
    async fn resume(&mut self, stream: Option<&str>, after: Option<u64>) -> Result<(), End> {
        let Some(after) = after.filter(|_| stream == Some(self.live.stream.as_str())) else {
            return self.send_snapshot().await;
        };
        match self.live.since(&self.visitor.person.tenant, after) {
            Since::TooMuch => self.send_snapshot().await,
            Since::Changes(_) => {
                let stream = &self.live.stream;
                let hello = format!(r#"{{"type":"hello","stream":"{stream}","seq":{after}}}"#);
                self.sent = after;
                self.send(&hello).await?;
                self.catch_up().await
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), End> {
        match self.live.since(&self.visitor.person.tenant, self.sent) {
            Since::TooMuch => self.send_snapshot().await,
            Since::Changes(changes) => {
                for (seq, change) in changes {
                    self.send(&change).await?;
                    self.sent = seq;
                }
                Ok(())
            }
        }
    }

    async fn send_snapshot(&mut self) -> Result<(), End> {
        let snapshot = self.live.snapshot(&self.visitor.person, self.subscription.pods).await;
        let ViewerSnapshot { seq, text, .. } =
            snapshot.map_err(|_| End::Close(TRY_AGAIN, "the database does not answer"))?;
        self.sent = seq;
        self.send(&text).await
    }

    async fn answer(&mut self, said: &Message) -> Result<(), End> {
        if said.is_close() {
            return Err(End::Gone);
        }
        let Ok(text) = said.to_str() else { return Ok(()) };
        match serde_json::from_str(text) {
            Ok(ViewerMessage::Ping) => self.send(r#"{"type":"pong"}"#).await,
            Ok(ViewerMessage::Pong) => Ok(()),
            Ok(ViewerMessage::Resync { stream, after }) => self.resume(stream.as_deref(), after).await,
            Err(_) => Err(End::Close(INVALID, "the messages are: ping, pong, resync")),
        }
    }

    /// Sends a text, or finds that it is not received.
    async fn send(&mut self, text: &str) -> Result<(), End> {
        let sent = tokio::time::timeout(self.live.heartbeat.silence, self.socket.send(Message::text(text))).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }
}

/// Why the connection ends.
enum End {
    /// The viewer is gone, or receives nothing.
    Gone,
    /// We close it, for this reason.
    Close(u16, &'static str),
}
