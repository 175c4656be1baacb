//! Authentication: finds out, once for each request and before any route is matched, who the visitor is. There are four
//! ways: an API token, a header of a trusted proxy, a session cookie, and, on loopback while there are no accounts, none at
//! all. `core::access` says what a person may do.

mod cookies;
mod csrf;
mod own_account;
pub(super) mod sign_in;
mod visitor;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use secrecy::SecretString;
use time::OffsetDateTime;
use warp::http::{HeaderMap, HeaderName, header};

pub(super) use self::visitor::signed;
pub use self::visitor::{CSRF_FIELD, CSRF_HEADER, RequestBody, SignedInBy, Visitor, visitor, writer};
use self::{cookies::SessionCookie, visitor::Credential};
use super::refusal::Refusal;
use crate::{
    config::{AccessSettings, Forward},
    core::access::{
        Person, Role,
        origin::{OriginHeaders, is_local},
        range::client_address,
        throttle::Throttle,
    },
    passwords::Passwords,
    store::{Lifetime, Store, StoredAccount},
};

/// How long a session lives.
pub const LIFETIME: Lifetime = Lifetime { idle: time::Duration::hours(12), total: time::Duration::days(7) };
/// How long to wait for the database to say whether there are accounts.
const ACCOUNTS_TIMEOUT: Duration = Duration::from_secs(2);
/// How long not to ask it again after it did not answer.
const ACCOUNTS_RETRY: Duration = Duration::from_secs(5);
/// How long a stream stays open for a visitor whom a proxy authenticated.
const PROXY_SESSION: Duration = Duration::from_secs(3600);
/// The most characters of a name from a proxy.
const LONGEST_NAME: usize = 128;
/// The visitor while nobody has to sign in.
const LOCAL: &str = "local";

/// The clock; tests have their own.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// What authentication needs.
pub struct Auth {
    store: Arc<Store>,
    access: AccessSettings,
    cookie: SessionCookie,
    clock: Clock,
    passwords: Passwords,
    throttle: Mutex<Throttle>,
    /// Whether nobody has to sign in while there are no accounts.
    may_be_open: bool,
    /// Whether only this machine can connect.
    is_on_loopback: bool,
    accounts: Mutex<AccountsState>,
}

/// Whether there are accounts, as the database last said.
#[derive(Debug, Clone, Copy)]
struct AccountsState {
    has_accounts: bool,
    silent_since: Option<Instant>,
}

impl Auth {
    /// Checks the settings, and refuses to serve other machines if nobody could sign in.
    pub async fn open(
        store: Arc<Store>,
        access: AccessSettings,
        listen: SocketAddr,
        clock: Clock,
    ) -> Result<Arc<Self>> {
        let has_accounts = store.has_accounts().await?;
        let is_on_loopback = listen.ip().to_canonical().is_loopback();
        let is_known_elsewhere = access.url.as_ref().filter(|url| !is_local(url.host()));
        const WAY_OUT: &str = "make an account with agentpod account add NAME --role operator, or name a proxy that signs people in \
                               with --trusted-proxy and --forward-auth-header";
        if !has_accounts && access.forward.is_none() {
            if !is_on_loopback {
                bail!(
                    "--listen {listen} can be reached from other machines, and nobody would have to sign in: {WAY_OUT}, or listen on \
                     127.0.0.1"
                );
            }
            if let Some(url) = is_known_elsewhere {
                bail!(
                    "--dashboard-url {url} is an address for other machines, and nobody would have to sign in: {WAY_OUT}"
                );
            }
        }
        Ok(Arc::new(Self {
            may_be_open: is_on_loopback && is_known_elsewhere.is_none() && access.forward.is_none(),
            is_on_loopback,
            cookie: SessionCookie::new(&store.public_name(), access.is_secure()),
            store,
            access,
            clock,
            passwords: Passwords::default(),
            throttle: Mutex::default(),
            accounts: Mutex::new(AccountsState { has_accounts, silent_since: None }),
        }))
    }

    /// Whether nobody has to sign in at the moment.
    pub(crate) async fn is_open(&self) -> bool {
        self.may_be_open && !self.has_accounts().await
    }

    /// Whether browsers use TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.access.is_secure()
    }

    /// What a browser says about a request's origin, with our own origin.
    pub(super) fn is_same_origin(&self, headers: &HeaderMap) -> bool {
        origin_headers(headers).is_same_origin(self.access.url.as_ref())
    }

    /// Whether a request came directly from this machine, to a name that only this machine has.
    pub(super) fn is_from_here(&self, headers: &HeaderMap) -> bool {
        self.is_on_loopback && !was_passed_on(headers) && origin_headers(headers).is_to_own_name(None)
    }

    /// The address behind a request: the peer, or the one that a trusted proxy names.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let all: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
        if all.is_empty() {
            peer.to_canonical()
        } else {
            client_address(peer, &all.join(","), &self.access.trusted_proxies)
        }
    }

    /// The visitor.
    pub(super) async fn authenticate(&self, peer: IpAddr, headers: &HeaderMap) -> Result<Visitor, Refusal> {
        if let Some(token) = bearer(headers) {
            let found = self.store.api_token(&token, (self.clock)()).await?;
            let person = found.ok_or_else(|| {
                Refusal::unauthorized(
                    "this API token is unknown or has expired; create one with agentpod account token",
                )
            })?;
            return Ok(Visitor::by_token(person, token));
        }
        if let Some(forward) = &self.access.forward
            && self.access.trusted_proxies.iter().any(|range| range.contains(peer))
            && let Some(name) = one(headers, &forward.user)?
        {
            return Ok(Visitor::new(self.proxied_person(forward, name, headers).await?, SignedInBy::Proxy));
        }
        if let Some(id) = self.cookie.session(headers)
            && let Some(person) = self.store.session(&id, LIFETIME, (self.clock)()).await?
        {
            return Visitor::by_session(person, id);
        }
        if self.is_open().await {
            if was_passed_on(headers) {
                return Err(Refusal::forbidden(
                    "this came through a proxy, and nobody would have to sign in; add an account with agentpod account add",
                ));
            }
            if !origin_headers(headers).is_to_own_name(self.access.url.as_ref()) {
                return Err(Refusal::forbidden(
                    "without accounts AgentPod answers only to localhost, 127.0.0.1 and [::1]; use one of them, say --dashboard-url, \
                     or make an account",
                ));
            }
            let person = Person { name: LOCAL.into(), role: Role::Operator, tenant: None };
            return Ok(Visitor::new(person, SignedInBy::Loopback));
        }
        Err(Refusal::unknown_visitor())
    }

    /// Whether a visitor would still be admitted: for what outlives its request, like a WebSocket
    /// or a followed log.
    /// While the database does not answer, nobody is disconnected.
    pub async fn is_admitted(&self, visitor: &Visitor) -> bool {
        let now = (self.clock)();
        let found = match (visitor.pass(), visitor.via) {
            (Credential::Session(id, _), _) => self.store.session(id, LIFETIME, now).await,
            (Credential::Token(token), _) => self.store.api_token(token, now).await,
            (Credential::None, SignedInBy::Loopback) => return self.is_open().await,
            (Credential::None, _) => {
                let account = self.store.account(&visitor.person.name).await;
                return !account.is_ok_and(|found| found.is_some_and(|stored| !stored.account.is_enabled()));
            }
        };
        found.map_or(true, |person| person.as_ref() == Some(&visitor.person))
    }

    /// Waits until a visitor would no longer be admitted, checking at intervals. For a visitor whom a proxy authenticated,
    /// and about whom we cannot ask, that is after an hour at the latest.
    pub async fn until_not_admitted(&self, visitor: &Visitor, every: Duration) {
        let began = crate::clock::instant();
        loop {
            tokio::time::sleep(every).await;
            if visitor.via == SignedInBy::Proxy && began.elapsed() > PROXY_SESSION || !self.is_admitted(visitor).await {
                return;
            }
        }
    }

    /// A person named by a trusted proxy: with the role of their account if they have one, else by their groups.
    async fn proxied_person(&self, forward: &Forward, name: &str, headers: &HeaderMap) -> Result<Person, Refusal> {
        if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(Refusal::forbidden("the proxy sent a name that is not valid"));
        }
        // Account names are lower case, so that another spelling gives nobody another tenant or access.
        if let Some(StoredAccount { account, .. }) = self.store.account(&name.to_ascii_lowercase()).await? {
            if !account.is_enabled() {
                return Err(Refusal::forbidden(format!("the account {name} is disabled")));
            }
            return Ok(account.person);
        }
        let groups = one(headers, &forward.groups)?.unwrap_or_default();
        let is_operator = groups.split(',').any(|group| forward.operator_groups.iter().any(|own| own == group.trim()));
        let role = if is_operator { Role::Operator } else { Role::Viewer };
        Ok(Person { name: name.to_owned(), role, tenant: None })
    }

    /// Whether there are accounts; while the database does not answer, as it last said. Asked each time, so that the first
    /// account closes open access at once.
    async fn has_accounts(&self) -> bool {
        let known = *self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if known.silent_since.is_some_and(|since| since.elapsed() < ACCOUNTS_RETRY) {
            return known.has_accounts;
        }
        let said = tokio::time::timeout(ACCOUNTS_TIMEOUT, self.store.has_accounts()).await.ok().and_then(Result::ok);
        let mut known = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        match said {
            Some(has_accounts) => *known = AccountsState { has_accounts, silent_since: None },
            None => known.silent_since = Some(crate::clock::instant()),
        }
        known.has_accounts
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("access", &self.access)
            .field("may_be_open", &self.may_be_open)
            .finish_non_exhaustive()
    }
}

fn origin_headers(headers: &HeaderMap) -> OriginHeaders<'_> {
    // A header that is sent twice counts as missing.
    let text = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap_or_default());
        if values.next().is_some() { Some("") } else { value }
    };
    let fetch_site = text(HeaderName::from_static("sec-fetch-site"));
    OriginHeaders { host: text(header::HOST), origin: text(header::ORIGIN), fetch_site }
}

/// Whether some proxy forwarded a request.
fn was_passed_on(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"].iter().any(|name| headers.contains_key(*name))
}

fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().into())
}

/// The only value of a header. A second one was not written by the trusted proxy.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(Refusal::forbidden(format!("the header {name} occurs twice; the proxy must replace it")));
    }
    match value.map(|value| std::str::from_utf8(value.as_bytes()).map(str::trim)) {
        None | Some(Ok("")) => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err(Refusal::forbidden(format!("the header {name} is not text"))),
    }
}
