//! The last step of every response: refusals become a page or a problem, and security headers are added.

use warp::{
    Reply,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    reply::Response,
};

use super::{gate, refusal::Refusal};

/// Only our own scripts and styles, and none inline, so that a name or log line with HTML in it stays text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// A year.
const TRANSPORT: &str = "max-age=31536000";
/// `same-origin` and not `no-referrer`: with the latter browsers send `Origin: null` with our own forms.
const ALWAYS: [(&str, &str); 7] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Writes the refusal that a response carries, or redirects to the sign-in.
pub(super) fn write_refusal(refusal: &Refusal, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let for_program = gate::is_for_program(uri.path());
    if refusal.status == StatusCode::UNAUTHORIZED && !for_program {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let next = if *method == Method::GET && path != "/" {
            format!("/?{}", form_urlencoded::Serializer::new(String::new()).append_pair("next", path).finish())
        } else {
            "/".into()
        };
        return warp::reply::with_header(StatusCode::SEE_OTHER, header::LOCATION, next).into_response();
    }
    let mut answer = refusal.answer(for_program, headers);
    if refusal.status == StatusCode::METHOD_NOT_ALLOWED && !answer.headers().contains_key(header::ALLOW) {
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed(uri.path())));
    }
    answer
}

/// The methods of a path outside the API's table.
fn allowed(path: &str) -> &'static str {
    match path {
        path if path.starts_with("/dashboard/pods/") && path.ends_with("/open") => "POST",
        "/hooks/git"
        | "/logout"
        | "/dashboard/requests"
        | "/dashboard/pods/new/manifest"
        | "/dashboard/pods/new/commit" => "POST",
        "/login" | "/dashboard/pods/new" | "/dashboard/account" => "GET, HEAD, POST",
        path if path.starts_with("/dashboard/pods/") && path.ends_with("/manifest") => "GET, HEAD, POST",
        _ => "GET, HEAD",
    }
}

/// Adds the headers to a response.
pub(super) fn add_headers(headers: &mut HeaderMap, path: &str, is_secure: bool) {
    for (name, value) in ALWAYS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if is_secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TRANSPORT));
    }
    // The next person at the same machine must not find what somebody saw. A handler may say otherwise.
    if !path.starts_with("/assets/") && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
