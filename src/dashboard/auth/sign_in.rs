//! Signing in and out. The sign-in form has no CSRF token: that belongs to a session, and there is none yet. The attack that
//! it would stop, another site signing somebody in without their knowledge, is stopped by the gate, which checks `Origin`
//! and `Sec-Fetch-Site` for every write.

use std::{
    net::IpAddr,
    sync::{Arc, PoisonError},
};

use secrecy::SecretString;
use serde_json::json;
use warp::{
    Filter, Reply,
    http::{HeaderMap, StatusCode, header},
    reply::{self, Response},
};

use super::{
    Auth, LIFETIME, RequestBody, Visitor,
    visitor::{Credential, read, signed},
};
use crate::{
    core::{access::local_path, event::EventKind},
    dashboard::{Routes, gate::ClientAddress, get_or_head, html, refusal::Refusal},
    passwords,
    store::Event,
};

/// The most bytes of the sign-in form.
const MAX_BYTES: usize = 16 * 1024;
/// Where to go after the sign-in.
const INSIDE: &str = "/dashboard";
/// The longest name that is looked up.
const LONGEST_NAME: usize = 128;

/// `/`, `/login` and `/logout`.
pub(in crate::dashboard) fn routes(auth: &Arc<Auth>) -> Routes {
    let here = auth.clone();
    let auth_of = move || {
        let auth = here.clone();
        warp::any().map(move || auth.clone())
    };
    let home = warp::path::end()
        .and(get_or_head())
        .and(warp::ext::optional::<Visitor>())
        .and(warp::query::<Vec<(String, String)>>())
        .map(|visitor: Option<Visitor>, query: Vec<(String, String)>| {
            let next = query.into_iter().find(|(name, _)| name == "next").map(|(_, next)| next).unwrap_or_default();
            match visitor {
                Some(_) => see_other(local_path(&next).unwrap_or(INSIDE)),
                None => form(StatusCode::OK, &next, "", None),
            }
        });
    let login = warp::path!("login")
        .and(warp::post())
        .and(auth_of())
        .and(warp::ext::get::<ClientAddress>())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(async |auth: Arc<Auth>, ClientAddress(client), headers: HeaderMap, body| {
            match read(&headers, body, MAX_BYTES).await {
                Ok(sent) => sign_in(&auth, client, &headers, &sent).await.unwrap_or_else(Reply::into_response),
                Err(refusal) => refusal.into_response(),
            }
        });
    let logout = warp::path!("logout").and(warp::post()).and(auth_of()).and(signed()).then(
        async |auth: Arc<Auth>, visitor: Visitor, _: RequestBody| {
            if let Credential::Session(id, _) = visitor.pass()
                && let Err(error) = auth.store.end_session(id).await
            {
                return Refusal::from(error).into_response();
            }
            with_cookie(see_other("/"), auth.cookie.forget())
        },
    );
    // For a reload after a failed sign-in.
    let again = warp::path!("login").and(get_or_head()).map(|| see_other("/"));
    home.or(again).unify().or(login).unify().or(logout).unify().boxed()
}

async fn sign_in(auth: &Auth, client: IpAddr, headers: &HeaderMap, sent: &RequestBody) -> Result<Response, Refusal> {
    let field = |name: &str| sent.field(name).unwrap_or_default();
    let (name, password, next) =
        (field("name").trim().to_lowercase(), SecretString::from(field("password")), field("next"));
    // Postgres does not store a text with a zero byte.
    if name.is_empty()
        || name.len() > LONGEST_NAME
        || name.contains('\0')
        || sent.field("password").is_none_or(|text| text.len() > passwords::MAX_BYTES)
    {
        return Ok(form(StatusCode::BAD_REQUEST, &next, "", Some("Enter your name and password.")));
    }
    let now = (auth.clock)();
    let throttle = || auth.throttle.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(wait) = throttle().attempt(&name, client, now) {
        let minutes = wait.whole_minutes() + 1;
        let problem = format!("Too many attempts. Wait {minutes} minutes, then try again.");
        let answer = form(StatusCode::TOO_MANY_REQUESTS, &next, &name, Some(&problem));
        return Ok(reply::with_header(answer, header::RETRY_AFTER, wait.whole_seconds() + 1).into_response());
    }
    let (account, hash) = match auth.store.account(&name).await {
        Ok(found) => found.map_or((None, None), |stored| (Some(stored.account), stored.password_hash)),
        Err(error) => {
            throttle().take_back(&name, client);
            return Err(error.into());
        }
    };
    let is_right = auth.passwords.verify(password, hash).await.map_err(|busy| {
        throttle().take_back(&name, client);
        Refusal::unavailable(busy.to_string())
    })?;
    let details = Some(json!({"address": client.to_string()}));
    if is_right && account.as_ref().is_some_and(|account| account.is_enabled()) {
        let id = passwords::new_secret().ok_or_else(Refusal::internal)?;
        let event =
            Event { details: details.clone(), ..Event::of_none(EventKind::SignedIn, format!("{name} signed in")) };
        if auth.store.begin_session(&id, &name, LIFETIME, &event, now).await? {
            throttle().succeeded(&name, client);
            // The browser's previous session ends: nobody continues it under another name.
            if let Some(before) = auth.cookie.session(headers) {
                auth.store.end_session(&before).await?;
            }
            let inside = see_other(local_path(&next).unwrap_or(INSIDE));
            return Ok(with_cookie(inside, auth.cookie.keep(&id)));
        }
    }
    // An unknown name may be a password typed into the wrong field.
    let message = match account {
        Some(_) => format!("a sign-in as {name} failed"),
        None => "a sign-in with an unknown name failed".to_owned(),
    };
    auth.store.record(&Event { details, ..Event::of_none(EventKind::SignInFailed, message) }, now).await?;
    Ok(form(StatusCode::UNAUTHORIZED, &next, &name, Some("The name or the password is wrong.")))
}

fn form(status: StatusCode, next: &str, name: &str, problem: Option<&str>) -> Response {
    let next = local_path(next).unwrap_or_default();
    let page = html::page("sign-in.html", json!({"next": next, "name": name, "problem": problem}));
    reply::with_status(page, status).into_response()
}

fn see_other(to: &str) -> Response {
    reply::with_header(StatusCode::SEE_OTHER, header::LOCATION, to).into_response()
}

fn with_cookie(mut answer: Response, cookie: Option<header::HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}
