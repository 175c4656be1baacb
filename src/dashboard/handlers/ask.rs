//! `POST /dashboard/requests`: what somebody asks for on a page becomes a request; the reconciler carries it out.

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
        decide::request::{Request, RequestSpec},
        names::PodId,
        quantity::Span,
    },
    dashboard::{pages::words::Tone, refusal::Refusal},
};

/// The longest pause that a page asks for.
const LONGEST_PAUSE: Duration = Duration::days(30);

/// What a page says after something was asked for, by its kind.
pub(crate) fn sentence(kind: &str) -> Option<(Tone, &'static str)> {
    Some(match kind {
        "restart" => (Tone::Busy, "The restart was asked for; the next round carries it out."),
        "pause" => (Tone::Busy, "The pause was asked for; the next round stops the container."),
        "resume" => (Tone::Busy, "To resume was asked for; the next round starts the container."),
        "sync" => (Tone::Busy, "The source is read now."),
        "approve" => (Tone::Busy, "The plan was approved; the next round carries it out."),
        _ => return None,
    })
}

impl Handlers {
    pub(crate) async fn ask(&self, visitor: &Visitor, sent: &RequestBody) -> Result<Response, Refusal> {
        let now = (self.api.clock)();
        let field = |name: &str| sent.field(name).unwrap_or_default();
        let pod = || field("pod").parse::<PodId>().map_err(|_| Refusal::bad_request("The form names no pod."));
        let kind = field("kind");
        let what = match kind.as_str() {
            "restart" => RequestSpec::Restart { pod: pod()? },
            "resume" => RequestSpec::Resume { pod: pod()? },
            "pause" => {
                let unclear = || Refusal::bad_request("Say for how long, like 30m, 1h or 24h, at most 30 days.");
                let span: Span = field("for").parse().map_err(|_| unclear())?;
                let time = Duration::try_from(span.duration()).map_err(|_| unclear())?;
                if !(Duration::SECOND..=LONGEST_PAUSE).contains(&time) {
                    return Err(unclear());
                }
                RequestSpec::Pause { pod: pod()?, until: Some(now + time) }
            }
            "sync" => RequestSpec::Sync,
            "approve" => RequestSpec::Approve { plan: field("plan") },
            _ => return Err(Refusal::bad_request("The form asks for nothing that there is.")),
        };
        match what.pod() {
            Some(pod) => {
                visitor.needs(visitor.person.may_request(&pod.tenant))?;
                // One of another tenant is as one that never was.
                if self.api.store.view(&visitor.person).lines(std::slice::from_ref(pod)).await?.is_empty() {
                    return Err(super::pod::missing(pod));
                }
            }
            None => visitor.needs(visitor.person.may_request_for_all())?,
        }
        let request = Request { what, actor: visitor.person.name.clone() };
        self.api.store.ask(&request, now).await?.map_err(|refusal| Refusal::conflict(refusal.to_string()))?;
        let back = field("back");
        let back = local_path(&back).filter(|path| path.starts_with("/dashboard") && !path.contains(['?', '#']));
        let back = format!("{}?said={kind}", back.unwrap_or("/dashboard"));
        Ok(warp::reply::with_header(StatusCode::SEE_OTHER, header::LOCATION, back).into_response())
    }
}
