//! One viewer's socket: a picture of everything, then changes in order; a heartbeat both ways; and whoever is not let in
//! any more is out. Keeps one number for the viewer and no messages.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use warp::{
    Filter, Reply,
    filters::ws::{Message, WebSocket, Ws},
    http::StatusCode,
};

use super::{Live, ring::Since};
use crate::dashboard::{
    Routes,
    auth::{Auth, Visitor, visitor},
    refusal::Refusal,
};

/// The most bytes a viewer may say at once.
const LONGEST: usize = 4096;

/// We stop.
const GOING_AWAY: u16 = 1001;
/// What was said makes no sense.
const NONSENSE: u16 = 1008;
/// The database is away: try again.
const AGAIN: u16 = 1013;
/// Not let in any more.
const OUT: u16 = 4401;
/// Nothing was heard for too long.
const SILENT: u16 = 4408;

/// What a viewer asks for in the address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscription {
    /// The stream and number up to which they saw everything.
    #[serde(default)]
    stream: Option<String>,
    #[serde(default)]
    after: Option<u64>,
    /// Whether the picture has every pod in it.
    #[serde(default)]
    pods: bool,
}

/// What a viewer says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ViewerMessage {
    /// Are you there?
    Ping,
    /// I am.
    Pong,
    /// I missed something: again, from this number if that is possible.
    Resync {
        #[serde(default)]
        stream: Option<String>,
        #[serde(default)]
        after: Option<u64>,
    },
}

/// Somebody who looks.
struct Viewer {
    live: Arc<Live>,
    auth: Arc<Auth>,
    visitor: Visitor,
    wish: Subscription,
    socket: WebSocket,
    /// The number of the last change they were sent.
    sent: u64,
}

/// `/api/v1/watch`.
pub fn routes(live: &Arc<Live>, auth: &Arc<Auth>) -> Routes {
    let (live, auth) = (live.clone(), auth.clone());
    let ws = warp::ws().map(Some).or(warp::any().map(|| None)).unify();
    let wish = warp::query::<Subscription>().map(Some).or(warp::any().map(|| None)).unify();
    warp::path!("api" / "v1" / "watch")
        .and(visitor())
        .and(wish)
        .and(ws)
        .map(move |visitor, wish: Option<Subscription>, ws: Option<Ws>| {
            let refused =
                |status, detail: &str| Refusal { status, detail: detail.into(), retry_after: None }.into_response();
            let Some(ws) = ws else {
                return refused(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket; ask for an upgrade");
            };
            let Some(wish) = wish else {
                return refused(StatusCode::BAD_REQUEST, "there is: stream, after (a number), pods (true or false)");
            };
            let Ok(place) = live.places.clone().try_acquire_owned() else {
                return Refusal::unavailable("too many look at once").into_response();
            };
            let (live, auth) = (live.clone(), auth.clone());
            let upgraded = ws.max_message_size(LONGEST).max_frame_size(LONGEST).on_upgrade(move |socket| {
                let tracker = live.sockets.clone();
                tracker.track_future(async move {
                    let viewer = Viewer { live, auth, visitor, wish, socket, sent: 0 };
                    viewer.look_on().await;
                    drop(place);
                })
            });
            upgraded.into_response()
        })
        .boxed()
}

impl Viewer {
    async fn look_on(mut self) {
        let (code, why) = match self.show().await {
            Ok(()) => return,
            Err(End::Gone) => return,
            Err(End::Close(code, why)) => (code, why),
        };
        // Who does not take even this is gone.
        let _ = tokio::time::timeout(Duration::from_secs(2), async {
            self.socket.send(Message::close_with(code, why)).await?;
            self.socket.close().await
        })
        .await;
    }

    async fn show(&mut self) -> Result<(), End> {
        let mut news = self.live.news.subscribe();
        let pace = self.live.pace;
        let (stream, after) = (self.wish.stream.clone(), self.wish.after);
        self.resume(stream.as_deref(), after).await?;
        let mut beat = tokio::time::interval_at(crate::clock::runtime_instant() + pace.ping, pace.ping);
        let mut heard = crate::clock::runtime_instant();
        let stop = self.live.stop.clone();
        let (auth, visitor) = (self.auth.clone(), self.visitor.clone());
        let out = auth.until_out(&visitor, pace.ping);
        tokio::pin!(out);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Err(End::Close(GOING_AWAY, "AgentPod stops")),
                () = &mut out => return Err(End::Close(OUT, "sign in again")),
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
                    if heard.elapsed() > pace.silence {
                        return Err(End::Close(SILENT, "nothing was heard from you"));
                    }
                    self.send(r#"{"type":"ping"}"#).await?;
                }
            }
        }
    }

    /// Goes on where they were, or shows everything.
    async fn resume(&mut self, stream: Option<&str>, after: Option<u64>) -> Result<(), End> {
        let Some(after) = after.filter(|_| stream == Some(self.live.stream.as_str())) else {
            return self.show_all().await;
        };
        match self.live.since(&self.visitor.person.tenant, after) {
            Since::TooMuch => self.show_all().await,
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
            Since::TooMuch => self.show_all().await,
            Since::Changes(changes) => {
                for (seq, change) in changes {
                    self.send(&change).await?;
                    self.sent = seq;
                }
                Ok(())
            }
        }
    }

    async fn show_all(&mut self) -> Result<(), End> {
        let picture = self.live.picture(&self.visitor.person, self.wish.pods).await;
        let (seq, text) = picture.map_err(|_| End::Close(AGAIN, "the database does not answer"))?;
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
            Err(_) => Err(End::Close(NONSENSE, "there is: ping, pong, resync")),
        }
    }

    /// Sends a text, or finds that it is not taken.
    async fn send(&mut self, text: &str) -> Result<(), End> {
        let sent = tokio::time::timeout(self.live.pace.silence, self.socket.send(Message::text(text))).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }
}

/// Why it is over.
enum End {
    /// They went, or do not take anything.
    Gone,
    /// We end it, and say why.
    Close(u16, &'static str),
}
