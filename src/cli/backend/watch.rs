//! Hears of events as they come: from the database's own words, or from a server's `/api/v1/watch`. Says when it may have
//! missed some, so that whoever listens reads them; keeps nothing.

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

/// A server says something every 15 seconds; after this much silence it is gone.
const SILENCE: Duration = Duration::from_secs(45);
/// Sign in again: the token is not good any more.
const OUT: u16 = 4401;

/// What is heard.
#[derive(Debug)]
pub enum Update {
    /// Events, new ones or such that happened once more.
    Events(Vec<EventLine>),
    /// There may be others that were not heard of. Comes first of all.
    Gap,
}

/// Somebody who listens.
pub enum UpdateStream {
    /// To the database.
    Database {
        /// What changes.
        changes: Box<Changes>,
        /// Where it is read.
        store: Arc<Store>,
        /// For whom.
        person: Person,
        /// Whether the first word was said.
        began: bool,
    },
    /// To a server.
    Server(Box<WebSocketStream<Box<dyn ByteStream>>>),
}

/// What a server says.
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
    /// Listens to the database.
    pub async fn of_database(store: Arc<Store>, person: Person) -> Result<Self> {
        let changes = Box::new(store.changes().await?);
        Ok(Self::Database { changes, store, person, began: false })
    }

    /// Listens to a server.
    pub async fn of_server(client: &ApiClient) -> Result<Self> {
        Ok(Self::Server(Box::new(client.socket("/watch").await?)))
    }

    /// Waits for the next. An error when nothing more will be heard.
    pub async fn next(&mut self) -> Result<Update> {
        match self {
            Self::Database { began, .. } if !*began => {
                *began = true;
                Ok(Update::Gap)
            }
            Self::Database { changes, store, person, .. } => loop {
                let changed: Vec<i64> = changes.next().await?.events.into_iter().collect();
                if !changed.is_empty() {
                    return Ok(Update::Events(store.view(person).events_of(&changed).await?));
                }
            },
            Self::Server(socket) => loop {
                let message = tokio::time::timeout(SILENCE, socket.next()).await;
                let message = message.map_err(|_| anyhow!("the server went silent"))?;
                let text = match message {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == OUT => {
                        return Err(BackendError::out().into());
                    }
                    Some(Ok(Message::Close(_))) | None => bail!("the server closed the connection"),
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => bail!("the connection to the server broke: {error}"),
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
