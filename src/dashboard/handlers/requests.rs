//! `POST /dashboard/requests`: stores the request that a page's form makes. The reconciler carries it out.

use time::Duration;
use warp::{
    Reply,
    http::{StatusCode, header},
    reply::Response,
};

use super::{Handlers, RequestBody, Visitor};
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
};

/// The longest pause that a form may request.
const LONGEST_PAUSE: Duration = Duration::days(30);

/// What a page says after a request of this kind was stored.
pub(crate) fn confirmation(kind: &str) -> Option<Notice> {
    let kind: RequestKind = kind.parse().ok()?;
    Some(Notice { tone: Tone::Busy, text: kind.info().confirmation.into() })
}

impl Handlers {
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
                let length = pause_length(&argument(RequestArgument::Duration))?;
                RequestSpec::Pause { pod: pod()?, until: Some(now + length) }
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
        self.api.store.add_request(&request, now).await?;
        let back = field("back");
        let back = local_path(&back).filter(|path| path.starts_with("/dashboard") && !path.contains(['?', '#']));
        let back = format!("{}?requested={kind}", back.unwrap_or("/dashboard"));
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
