//! A stream of events, from the database's notifications or from a server's `/api/v1/watch`. It reports when it may have
//! missed events, so that the caller reads them again; it keeps nothing.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{
    client::{ApiClient, ByteStream},
    refusal::BackendError,
};
use crate::{
    core::access::Person,
    store::{Changes, Store, view::EventLine},
};

/// A server sends something every 15 s; after this much silence the connection counts as lost.
const SILENCE_LIMIT: Duration = Duration::from_secs(45);
/// The close code of a server that no longer accepts the token.
const SIGNED_OUT: u16 = 4401;

/// One item of the stream.
#[derive(Debug)]
pub(crate) enum Update {
    /// Events that are new or happened again.
    Events(Vec<EventLine>),
    /// Events may have been missed. This is always the first item.
    Gap,
}

/// A subscription to events.
pub(crate) enum UpdateStream {
    /// From the database.
    Database {
        /// The database's notifications.
        changes: Box<Changes>,
        /// Where the events are read.
        store: Arc<Store>,
        /// Whose view of them.
        person: Person,
        /// Whether the first item was returned.
        began: bool,
    },
    /// From a server.
    Server(Box<WebSocketStream<Box<dyn ByteStream>>>),
}

/// A message of a server.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ServerMessage {
    Snapshot,
    Ping,
    Event {
        event: Box<EventLine>,
    },
    #[serde(other)]
    Other,
}

impl UpdateStream {
    /// Subscribes to a database.
    pub(crate) async fn from_database(store: Arc<Store>, person: Person) -> Result<Self> {
        let changes = Box::new(store.changes().await);
        Ok(Self::Database { changes, store, person, began: false })
    }

    /// Subscribes to a server.
    pub(crate) async fn from_server(client: &ApiClient) -> Result<Self> {
        Ok(Self::Server(Box::new(client.socket("/watch").await?)))
    }

    /// Waits for the next item. An error ends the stream.
    pub(crate) async fn next(&mut self) -> Result<Update> {
        match self {
            Self::Database { began, .. } if !*began => {
                *began = true;
                Ok(Update::Gap)
            }
            Self::Database { changes, store, person, .. } => loop {
                let Some(changed) = changes.next().await else { return Ok(Update::Gap) };
                let changed: Vec<i64> = changed.events.into_iter().collect();
                if !changed.is_empty() {
                    return Ok(Update::Events(store.view(person).events_of(&changed).await?));
                }
            },
            Self::Server(socket) => loop {
                let message = tokio::time::timeout(SILENCE_LIMIT, socket.next()).await;
                let message = message.map_err(|_| anyhow!("the server stopped responding"))?;
                let text = match message {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == SIGNED_OUT => {
                        return Err(BackendError::token_expired().into());
                    }
                    Some(Ok(Message::Close(_))) | None => bail!("the server closed the connection"),
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => bail!("lost the connection to the server: {error}"),
                };
                match serde_json::from_str(&text)? {
                    ServerMessage::Snapshot => return Ok(Update::Gap),
                    ServerMessage::Event { event } => return Ok(Update::Events(vec![*event])),
                    ServerMessage::Ping => socket.send(Message::text(r#"{"type":"pong"}"#)).await?,
                    ServerMessage::Other => {}
                }
            },
        }
    }
}
