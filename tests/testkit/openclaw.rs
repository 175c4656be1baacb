//! Asks a real OpenClaw gateway for a connection the way its Control UI does: waits for the challenge, signs it with a
//! device key, sends `connect`, and tells what came of it. Written from the protocol's documentation in the package.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use ring::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use super::stand::{Socket, Stand};

const CLIENT: &str = "openclaw-control-ui";
const MODE: &str = "webchat";
const SCOPES: [&str; 5] =
    ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"];
/// What the owner's login link is for, exactly: more or less is refused.
const OWNER_SCOPES: [&str; 7] = [
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
    "operator.questions",
    "operator.read",
    "operator.talk.secrets",
    "operator.write",
];
/// The longest a frame may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A browser's device key.
pub struct Device(Ed25519KeyPair);

/// What a browser shows to be let in.
#[derive(Clone, Copy)]
pub enum Pass<'a> {
    /// The gateway's token.
    Token(&'a str),
    /// The one-time token of a login link.
    Bootstrap(&'a str),
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Let in.
    Connected,
    /// The device must be approved first; the request's id.
    PairingRequired(String),
    /// The page's origin is not allowed.
    OriginNotAllowed,
    /// The token is wrong or missing; the gateway's code.
    AuthFailed(String),
    /// Anything else.
    Refused(String),
}

impl Device {
    /// A browser that was never here before.
    pub fn new() -> Self {
        let mut seed = [0u8; 32];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut seed).unwrap();
        Self(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap())
    }

    fn id(&self) -> String {
        hex::encode(digest(&SHA256, self.0.public_key().as_ref()))
    }

    /// Asks for a connection at a subdomain, as a page of `origin`.
    pub async fn connect(&self, stand: &Stand, subdomain: &str, origin: &str, pass: Pass<'_>) -> Outcome {
        match self.ask(stand, subdomain, origin, pass, None).await {
            // The gateway wants its own page's build id, which the page carries: ask again as the page would.
            Err(answer) if build_id(&answer).is_some() => {
                let build = build_id(&answer).unwrap();
                self.ask(stand, subdomain, origin, pass, Some(&build))
                    .await
                    .map_or_else(outcome, |()| Outcome::Connected)
            }
            Err(answer) => outcome(answer),
            Ok(()) => Outcome::Connected,
        }
    }

    async fn ask(
        &self,
        stand: &Stand,
        subdomain: &str,
        origin: &str,
        pass: Pass<'_>,
        build: Option<&str>,
    ) -> Result<(), Value> {
        let mut socket =
            stand.socket(subdomain, "/", origin).await.map_err(|error| json!({"message": error.to_string()}))?;
        let challenge = next(&mut socket, |frame| frame["event"] == "connect.challenge").await?;
        let (nonce, at) = (challenge["payload"]["nonce"].as_str().unwrap(), &challenge["payload"]["ts"]);
        let (auth, token, scopes) = match pass {
            Pass::Token(token) => (json!({"token": token}), token, &SCOPES[..]),
            Pass::Bootstrap(token) => (json!({"bootstrapToken": token}), token, &OWNER_SCOPES[..]),
        };
        let signed =
            ["v3", &self.id(), CLIENT, MODE, "operator", &scopes.join(","), &at.to_string(), token, nonce, "linux", ""]
                .join("|");
        let mut client = json!({"id": CLIENT, "version": "agentpod-test", "platform": "linux", "mode": MODE});
        if let Some(build) = build {
            client["buildId"] = build.into();
        }
        let device = json!({"id": self.id(), "publicKey": base64url(self.0.public_key().as_ref()), "nonce": nonce,
            "signature": base64url(self.0.sign(signed.as_bytes()).as_ref()), "signedAt": at});
        let params = json!({"minProtocol": 4, "maxProtocol": 4, "role": "operator", "scopes": scopes, "caps": [], "client": client,
            "locale": "en-US", "userAgent": "agentpod-test", "auth": auth, "device": device});
        let request = json!({"type": "req", "id": "connect", "method": "connect", "params": params});
        socket.send(Message::text(request.to_string())).await.map_err(|error| json!({"message": error.to_string()}))?;
        let answer = next(&mut socket, |frame| frame["type"] == "res" && frame["id"] == "connect").await?;
        if answer["ok"] == true { Ok(()) } else { Err(answer["error"].clone()) }
    }
}

async fn next(socket: &mut Socket, wanted: impl Fn(&Value) -> bool) -> Result<Value, Value> {
    loop {
        let frame =
            tokio::time::timeout(LIMIT, socket.next()).await.map_err(|_| json!({"message": "no frame in time"}))?;
        match frame {
            Some(Ok(Message::Text(text))) => match serde_json::from_str::<Value>(&text) {
                Ok(frame) if wanted(&frame) => return Ok(frame),
                _ => {}
            },
            Some(Ok(Message::Close(Some(CloseFrame { reason, .. })))) => {
                return Err(json!({"message": reason.to_string()}));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(json!({"message": error.to_string()})),
            None => return Err(json!({"message": "closed"})),
        }
    }
}

fn build_id(error: &Value) -> Option<String> {
    error["details"]["gatewayBuildId"].as_str().map(str::to_owned)
}

fn outcome(error: Value) -> Outcome {
    let code = error["details"]["code"].as_str().unwrap_or_default();
    let message = error["message"].as_str().unwrap_or_default();
    if code == "PAIRING_REQUIRED" || message.contains("pairing required") {
        let id = error["details"]["requestId"].as_str().map(str::to_owned);
        let named = || message.split("requestId: ").nth(1)?.split([')', ' ']).next().map(str::to_owned);
        return Outcome::PairingRequired(id.or_else(named).unwrap_or_default());
    }
    if code.contains("ORIGIN") || message.contains("origin not allowed") {
        return Outcome::OriginNotAllowed;
    }
    if code.starts_with("AUTH_") || message.contains("unauthorized") {
        return Outcome::AuthFailed(code.to_owned());
    }
    Outcome::Refused(error.to_string())
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(LETTERS[(number >> (18 - 6 * place)) as usize & 63].into());
        }
    }
    text
}
