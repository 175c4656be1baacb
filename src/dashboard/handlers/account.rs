//! `/dashboard/account`: what people do with their own account. Only a session may change it: neither an API token nor a
//! proxy's word is enough to make further credentials.

use std::net::IpAddr;

use secrecy::ExposeSecret;
use time::Duration;
use warp::{
    Reply,
    http::{StatusCode, header},
    reply::Response,
};

use super::{Handlers, PageRequest, RequestBody, SignedInBy};
use crate::{
    core::access::Role,
    dashboard::{
        pages::{
            account::{AccountPage, TokenRow},
            words::{Fact, Moment},
        },
        refusal::Refusal,
    },
};

impl Handlers {
    pub(crate) async fn account(&self, page_request: &PageRequest) -> Result<AccountPage, Refusal> {
        let (visitor, now) = (&page_request.visitor, page_request.now);
        let person = &visitor.person;
        let tokens = self.api.store.api_tokens(Some(&person.name)).await?;
        let row = |token: crate::store::ApiToken| TokenRow {
            id: token.id,
            purpose: token.name,
            created: Moment::new(token.created_at, now),
            used: token.last_used.map(|at| Moment::new(at, now)),
            expires: token.expires_at.map(|at| Moment::new(at, now)),
        };
        let signed_in = match visitor.via {
            SignedInBy::Session => "with a password",
            SignedInBy::Token => "with an API token",
            SignedInBy::Proxy => "by a trusted proxy",
            SignedInBy::Loopback => "not at all: there are no accounts, and only this machine can connect",
        };
        Ok(AccountPage {
            facts: vec![
                Fact::code("Name", person.name.clone()),
                Fact::words("Role", if person.role == Role::Operator { "operator" } else { "viewer" }),
                Fact::words("Tenant", person.tenant.as_ref().map_or_else(|| "all".into(), ToString::to_string)),
                Fact::words("Signed in", signed_in),
            ],
            can_change: visitor.via == SignedInBy::Session,
            tokens: tokens.into_iter().map(row).collect(),
            token: None,
            problem: None,
        })
    }

    pub(crate) async fn change_account(
        &self,
        page_request: &PageRequest,
        sent: &RequestBody,
        client: IpAddr,
    ) -> Result<Response, Refusal> {
        page_request.visitor.needs(page_request.visitor.via == SignedInBy::Session)?;
        let name = page_request.visitor.person.name.as_str();
        let field = |name: &str| sent.field(name).unwrap_or_default();
        let mut token = None;
        let done = match field("do").as_str() {
            "password" if field("new") != field("again") => Err(Refusal::bad_request("the two new passwords differ")),
            "password" => {
                match self.auth.change_password(name, field("current").into(), field("new").into(), client).await {
                    // The session has ended with all others.
                    Ok(()) => {
                        let answer = warp::reply::with_header(StatusCode::SEE_OTHER, header::LOCATION, "/");
                        return Ok(answer.into_response());
                    }
                    Err(refusal) => Err(refusal),
                }
            }
            "token" => {
                let days: i64 = field("days").parse().unwrap_or_default();
                let made =
                    self.auth.add_own_token(name, field("purpose").trim(), Duration::days(days.clamp(0, 1000))).await;
                made.map(|made| token = Some(made.expose_secret().to_owned()))
            }
            "revoke" => self.auth.revoke_own_token(name, field("id").parse().unwrap_or_default()).await,
            _ => Err(Refusal::bad_request("The form does not say what to do.")),
        };
        let mut page = AccountPage { token, ..self.account(page_request).await? };
        let status = match done {
            Ok(()) => StatusCode::OK,
            Err(refusal) if refusal.status.is_server_error() => return Err(refusal),
            Err(refusal) => {
                page.problem = Some(sentence(&refusal.detail));
                refusal.status
            }
        };
        let mut answer = self.write(page_request, &page)?;
        *answer.status_mut() = status;
        Ok(answer)
    }
}

/// The text with a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}{}", characters.as_str(), if text.ends_with('.') { "" } else { "." })
}
