//! The session cookie. Behind TLS its name begins with `__Host-`: browsers then accept it only from us, not from an agent on
//! a neighboring host name.

use cookie::{Cookie, SameSite};
use secrecy::{ExposeSecret, SecretString};
use warp::http::{HeaderMap, HeaderValue, header};

use super::LIFETIME;

const SECURE: &str = "__Host-agentpod";
const PLAIN: &str = "agentpod_session";

/// The session ID that a browser sent.
pub(super) fn session(headers: &HeaderMap, is_secure: bool) -> Option<SecretString> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(Cookie::split_parse).flatten();
    cookies.find(|cookie| cookie.name() == name(is_secure)).map(|cookie| cookie.value().into())
}

/// Sets the session ID in a browser.
pub(super) fn keep(id: &SecretString, is_secure: bool) -> Option<HeaderValue> {
    set(id.expose_secret(), LIFETIME.total, is_secure)
}

/// Removes it from a browser.
pub(super) fn forget(is_secure: bool) -> Option<HeaderValue> {
    set("", time::Duration::ZERO, is_secure)
}

/// Not `Strict`, because a link from a chat or a mail would then end at the sign-in. Writes also need the CSRF token.
fn set(value: &str, age: time::Duration, is_secure: bool) -> Option<HeaderValue> {
    let cookie = Cookie::build((name(is_secure), value)).path("/").http_only(true).same_site(SameSite::Lax);
    let mut value = HeaderValue::try_from(cookie.secure(is_secure).max_age(age).build().to_string()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn name(is_secure: bool) -> &'static str {
    if is_secure { SECURE } else { PLAIN }
}
