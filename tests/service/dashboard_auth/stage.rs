//! A dashboard with accounts and a few routes of the test's own, and browsers that ask it things.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use agentpod::{
    config::{AccessSettings, Forward},
    core::access::{Person, Role},
    dashboard::{
        Routes,
        auth::{Auth, RequestBody, Visitor, visitor, writer},
        refusal::Refusal,
    },
    passwords::Passwords,
    store::Store,
};
use hyper::StatusCode;
use sqlx::postgres::PgConnectOptions;
use time::{Duration, OffsetDateTime};
use warp::{Filter, Reply};

use crate::testkit::rows;
use crate::testkit::{
    dashboard::{Serve, Server},
    http::{self, Answer},
    postgres,
    store::fresh,
};

pub const PASSWORD: &str = "three green words";

/// A dashboard that listens.
pub struct Stage {
    pub server: Server,
    pub store: Arc<Store>,
    seen: Seen,
    clock: Arc<AtomicI64>,
    options: PgConnectOptions,
}

/// Everybody whom a route saw, as something that goes on after its request would keep them.
type Seen = Arc<Mutex<Vec<Visitor>>>;

impl Stage {
    /// Without accounts, as the settings are by themselves.
    pub async fn open() -> Self {
        Self::with(AccessSettings::default(), &[]).await
    }

    /// With an operator `olga`, a viewer `victor`, and `alan` and `vera`, operator and viewer of the tenant alice.
    pub async fn closed() -> Self {
        Self::with(AccessSettings::default(), &everybody()).await
    }

    pub async fn with(access: AccessSettings, people: &[Person]) -> Self {
        let (store, options) = fresh().await;
        let store = Arc::new(store);
        let clock = Arc::new(AtomicI64::new(0));
        let hash = Passwords::default().hash(PASSWORD.into()).await.unwrap();
        for person in people {
            assert!(store.add_account(person, Some(&hash), "the test", at(0)).await.unwrap());
        }
        let (time, seen) = (clock.clone(), Seen::default());
        let serve = Serve {
            access,
            clock: Arc::new(move || at(time.load(Ordering::SeqCst))),
            routes: Some(stub(seen.clone())),
            ..Serve::default()
        };
        let server = Server::start(&store, serve).await;
        Self { server, store, seen, clock, options }
    }

    /// Lets time pass.
    pub fn later(&self, by: Duration) {
        self.clock.fetch_add(by.whole_seconds(), Ordering::SeqCst);
    }

    pub fn now(&self) -> OffsetDateTime {
        at(self.clock.load(Ordering::SeqCst))
    }

    /// Our own pages' origin.
    pub fn origin(&self) -> String {
        format!("http://{}", self.server.address)
    }

    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        http::ask(method, self.server.address, path, headers, body.to_owned()).await.unwrap()
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, "").await
    }

    /// Fills in the form of the sign-in, as a browser does.
    pub async fn try_sign_in(&self, name: &str, password: &str, more: &[(&str, &str)]) -> Answer {
        let body = form(&[("name", name), ("password", password), ("next", "")]);
        let origin = self.origin();
        let usual = [("content-type", FORM), ("sec-fetch-site", "same-origin"), ("origin", origin.as_str())];
        let usual = usual.into_iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
        let headers: Vec<_> = usual.chain(more.iter().copied()).collect();
        self.ask("POST", "/login", &headers, &body).await
    }

    /// Signs in, and answers the cookie.
    pub async fn sign_in(&self, name: &str) -> String {
        let answer = self.try_sign_in(name, PASSWORD, &[]).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/dashboard"), "{}", answer.body);
        answer.cookie()
    }

    /// Who we are by these headers, as a route sees it; `None` when shut out.
    pub async fn who(&self, headers: &[(&str, &str)]) -> Option<String> {
        let answer = self.get("/api/v1/who", headers).await;
        (answer.status == 200).then_some(answer.body)
    }

    /// Whom the route saw last.
    pub fn last_seen(&self) -> Visitor {
        self.seen.lock().unwrap().last().unwrap().clone()
    }

    /// The token that a page of this session carries.
    pub async fn csrf(&self, cookie: &str) -> String {
        self.get("/dashboard/csrf", &[("cookie", cookie)]).await.body
    }

    /// Makes an API token.
    pub async fn token(&self, account: &str, token: &str, expires: Option<OffsetDateTime>) -> i64 {
        let made = self.store.add_api_token(&token.into(), account, "", expires, "the test", self.now()).await;
        made.unwrap().unwrap()
    }

    /// Every row of every table as text.
    pub async fn dump(&self) -> String {
        postgres::dump(&self.options).await.join("\n")
    }

    /// The events of a kind: how often, and what they say.
    pub async fn events(&self, kind: &str) -> Vec<(i32, String)> {
        let rows = rows::events(&self.store, None, 1000).await.into_iter();
        rows.filter(|row| row.kind.as_str() == kind).map(|row| (row.count, row.message)).collect()
    }
}

/// Fails unless a page sends to the sign-in, or the API says who may ask.
pub fn is_shut_out(answer: &Answer, path: &str) {
    if path.starts_with("/api/") || path == "/metrics" {
        assert_eq!(answer.status, 401, "{path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    } else {
        assert_eq!((answer.status, answer.body.as_str()), (303, ""), "{path}");
        assert!(answer.header("location").starts_with('/') && !answer.header("location").starts_with("/dashboard"));
    }
}

pub const FORM: &str = "application/x-www-form-urlencoded";

pub fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

pub fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::seconds(seconds)
}

pub fn person(name: &str, role: Role, tenant: Option<&str>) -> Person {
    Person { name: name.into(), role, tenant: tenant.map(|tenant| tenant.parse().unwrap()) }
}

pub fn everybody() -> [Person; 4] {
    [
        person("olga", Role::Operator, None),
        person("victor", Role::Viewer, None),
        person("alan", Role::Operator, Some("alice")),
        person("vera", Role::Viewer, Some("alice")),
    ]
}

/// Settings that believe a proxy on these addresses.
pub fn behind(range: &str, operators: &[&str]) -> AccessSettings {
    AccessSettings {
        url: None,
        trusted_proxies: vec![range.parse().unwrap()],
        forward: Some(Forward {
            user: "remote-user".parse().unwrap(),
            groups: "remote-groups".parse().unwrap(),
            operator_groups: operators.iter().map(|group| (*group).to_owned()).collect(),
        }),
    }
}

/// Settings with an address of the dashboard's own.
pub fn known_as(url: &str) -> AccessSettings {
    AccessSettings { url: Some(url.parse().unwrap()), ..AccessSettings::default() }
}

pub async fn starts(listen: IpAddr, access: AccessSettings, people: &[Person]) -> Result<(), String> {
    let stage = Stage::with(AccessSettings::default(), people).await;
    let opened = Auth::open(stage.store.clone(), access, (listen, 7070).into(), Arc::new(|| at(0))).await;
    opened.map(drop).map_err(|error| error.to_string())
}

/// Routes as pages and API have them.
fn stub(seen: Seen) -> Routes {
    let who = warp::path!("api" / "v1" / "who").and(visitor()).map(move |visitor: Visitor| {
        seen.lock().unwrap().push(visitor.clone());
        let Visitor { person, via, .. } = visitor;
        format!("{} {:?} {:?} {via:?}", person.name, person.role, person.tenant.map(|t| t.to_string())).into_response()
    });
    let csrf = warp::path!("dashboard" / "csrf")
        .and(visitor())
        .map(|visitor: Visitor| visitor.csrf.unwrap_or_default().into_response());
    let page = warp::path!("dashboard").and(visitor()).map(|_| warp::reply::html("<h1>inside</h1>").into_response());
    let large = warp::path!("dashboard" / "large").and(visitor()).map(|_| "large ".repeat(10_000).into_response());
    let panics = warp::path!("dashboard" / "panics").and(visitor()).map(|visitor: Visitor| {
        assert!(visitor.person.name.is_empty(), "a secret of the handler");
        StatusCode::OK.into_response()
    });
    let restart = warp::path!("api" / "v1" / "restart" / String).and(warp::post()).and(writer()).map(ask);
    let form = warp::path!("dashboard" / "restart" / String).and(warp::post()).and(writer()).map(ask);
    let forgetful = warp::path!("dashboard" / "forgetful").map(|| "it did not ask who asks".into_response());
    let careless = warp::path!("api" / "v1" / "careless").and(warp::post()).and(writer());
    let careless = careless.map(|_, _| "it did not ask what the visitor may".into_response());
    let all = who.or(csrf).unify().or(page).unify().or(large).unify().or(panics).unify();
    all.or(restart).unify().or(form).unify().or(forgetful).unify().or(careless).unify().boxed()
}

fn ask(tenant: String, visitor: Visitor, sent: RequestBody) -> warp::reply::Response {
    let Ok(tenant) = tenant.parse() else { return Refusal::not_found("no such tenant").into_response() };
    match visitor.needs(visitor.person.may_request(&tenant)) {
        Ok(()) => format!("done {}", sent.field("why").unwrap_or_default()).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}
