//! The session cookie. Browsers send a cookie to every port of a host, so its name says which AgentPod it belongs to: two on
//! one host do not sign each other's people out. Behind TLS it begins with `__Host-`: browsers then accept it only from us,
//! not from an agent on a neighboring host name.

use cookie::{Cookie, SameSite};
use secrecy::{ExposeSecret, SecretString};
use warp::http::{HeaderMap, HeaderValue, header};

use super::LIFETIME;

const SECURE: &str = "__Host-agentpod";
const PLAIN: &str = "agentpod_session";

/// The session cookie of one AgentPod.
pub(super) struct SessionCookie {
    name: String,
    is_secure: bool,
}

impl SessionCookie {
    /// The cookie of the AgentPod with this public name.
    pub(super) fn new(owner: &str, is_secure: bool) -> Self {
        Self { name: format!("{}_{owner}", if is_secure { SECURE } else { PLAIN }), is_secure }
    }

    /// The session ID that a browser sent.
    pub(super) fn session(&self, headers: &HeaderMap) -> Option<SecretString> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut cookies = lines.flat_map(Cookie::split_parse).flatten();
        cookies.find(|cookie| cookie.name() == self.name).map(|cookie| cookie.value().into())
    }

    /// Sets the session ID in a browser.
    pub(super) fn keep(&self, id: &SecretString) -> Option<HeaderValue> {
        self.set(id.expose_secret(), LIFETIME.total)
    }

    /// Removes it from a browser.
    pub(super) fn forget(&self) -> Option<HeaderValue> {
        self.set("", time::Duration::ZERO)
    }

    /// Not `Strict`, because a link from a chat or a mail would then end at the sign-in. Writes also need the CSRF token.
    fn set(&self, value: &str, age: time::Duration) -> Option<HeaderValue> {
        let cookie = Cookie::build((self.name.as_str(), value)).path("/").http_only(true).same_site(SameSite::Lax);
        let mut value = HeaderValue::try_from(cookie.secure(self.is_secure).max_age(age).build().to_string()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}
