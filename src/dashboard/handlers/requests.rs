//! `POST /dashboard/requests`: stores the request that a page's form makes. The reconciler carries it out.

use time::Duration;
use warp::{
    Reply,
    http::{StatusCode, header},
    reply::Response,
};

use super::{Handlers, PageRequest, RequestBody, Visitor};
use crate::{
    core::{
        access::local_path,
        decide::{
            request::{Request, RequestSpec},
            request_kind::{RequestArgument, RequestKind},
        },
        names::PodId,
        quantity::Span,
    },
    dashboard::{
        pages::{Notice, words::Tone},
        refusal::Refusal,
    },
    store::RequestRow,
};

/// The longest pause that a form may request.
const LONGEST_PAUSE: Duration = Duration::days(30);

/// The duration of a pause that somebody has to end.
const UNTIL_RESUMED: &str = "resumed";

/// What a page says after a request was stored: what was requested and, once it is done, its outcome.
fn notice(row: &RequestRow) -> Notice {
    let kind = row.open.request.what.kind();
    match (&row.outcome, row.done) {
        (Some(outcome), Some(true)) => {
            Notice { tone: Tone::Good, text: format!("{} is done: {outcome}.", row.open.request.what) }
        }
        (Some(outcome), _) => {
            Notice { tone: Tone::Warn, text: format!("{} was not done: {outcome}.", row.open.request.what) }
        }
        (None, _) if kind == RequestKind::Pause && row.picked_up_at.is_some() => {
            Notice { tone: Tone::Good, text: format!("{} is in force.", row.open.request.what) }
        }
        (None, _) => Notice { tone: Tone::Busy, text: kind.info().confirmation.into() },
    }
}

impl Handlers {
    /// What to say about the request that a page was led back from.
    pub(crate) async fn notice(&self, page_request: &PageRequest) -> Result<Option<Notice>, Refusal> {
        let id = page_request.query.get("requested").and_then(|id| id.parse::<i64>().ok());
        let Some(id) = id else { return Ok(None) };
        let row = self.api.store.request(id).await?;
        let person = &page_request.visitor.person;
        let row = row.filter(|row| match row.open.request.what.pod() {
            Some(pod) => person.sees(&pod.tenant),
            None => person.sees_all(),
        });
        Ok(row.as_ref().map(notice))
    }

    pub(crate) async fn create_request(&self, visitor: &Visitor, sent: &RequestBody) -> Result<Response, Refusal> {
        let now = (self.api.clock)();
        let field = |name: &str| sent.field(name).unwrap_or_default();
        let argument = |argument: RequestArgument| field(argument.name());
        let pod = || {
            argument(RequestArgument::Pod).parse::<PodId>().map_err(|_| Refusal::bad_request("The form names no pod."))
        };
        let kind: RequestKind =
            field("kind").parse().map_err(|_| Refusal::bad_request("The form has no known kind of request."))?;
        let what = match kind {
            RequestKind::Restart => RequestSpec::Restart { pod: pod()? },
            RequestKind::Resume => RequestSpec::Resume { pod: pod()? },
            RequestKind::Retry => RequestSpec::Retry { pod: pod()? },
            RequestKind::StartEmpty => RequestSpec::StartEmpty { pod: pod()? },
            RequestKind::Pause => {
                let until = match argument(RequestArgument::Duration).as_str() {
                    UNTIL_RESUMED => None,
                    text => Some(now + pause_length(text)?),
                };
                RequestSpec::Pause { pod: pod()?, until }
            }
            RequestKind::Sync => RequestSpec::Sync,
            RequestKind::Approve => RequestSpec::Approve { plan: argument(RequestArgument::Plan) },
        };
        visitor.needs(what.is_permitted(&visitor.person))?;
        if let Some(pod) = what.pod() {
            // A pod of another tenant is reported like one that never existed.
            if self.api.store.view(&visitor.person).lines(std::slice::from_ref(pod)).await?.is_empty() {
                return Err(super::pod::missing(pod));
            }
        }
        let request = Request { what, actor: visitor.person.name.clone() };
        let id = self.api.store.add_request(&request, now).await?;
        let back = field("back");
        let back = local_path(&back).filter(|path| path.starts_with("/dashboard") && !path.contains(['?', '#']));
        let back = format!("{}?requested={id}", back.unwrap_or("/dashboard"));
        Ok(warp::reply::with_header(StatusCode::SEE_OTHER, header::LOCATION, back).into_response())
    }
}

fn pause_length(text: &str) -> Result<Duration, Refusal> {
    let span = text.parse::<Span>().ok().and_then(|span| Duration::try_from(span.duration()).ok());
    span.filter(|span| (Duration::SECOND..=LONGEST_PAUSE).contains(span)).ok_or_else(|| {
        Refusal::bad_request(
            "The form has no valid duration for the pause; use one like 30m, 1h or 24h, at most 30 days.",
        )
    })
}
