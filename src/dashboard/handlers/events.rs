//! `/dashboard/events`.

use time::Duration;

use super::{Handlers, PageRequest, lines};
use crate::{
    core::{event::EventKind, quantity::Span},
    dashboard::{
        pages::{
            events::EventsPage,
            pods::{FilterChoice, FilterOption, Pager},
        },
        refusal::Refusal,
    },
    store::view::{EventQuery, Page},
};

/// Events per page.
const PER_PAGE: u32 = 50;
/// How many tenants can be chosen from.
const MAX_TENANTS: usize = 200;
const PATH: &str = "/dashboard/events";
/// The severities to choose from: of this one and worse.
const SEVERITIES: [(&str, &str); 2] = [("warning", "Warnings and errors"), ("error", "Errors")];
/// The spans of time to choose from.
const TIMES: [(&str, &str); 4] =
    [("1h", "The last hour"), ("24h", "The last day"), ("168h", "The last week"), ("720h", "The last 30 days")];

impl Handlers {
    pub(crate) async fn events(&self, page_request: &PageRequest) -> Result<EventsPage, Refusal> {
        let view = self.api.store.view(&page_request.visitor.person);
        let query = &page_request.query;
        let since = query.get("since").map(|text| text.parse::<Span>().map_err(drop));
        let since =
            since.map(|span| span.and_then(|span| Duration::try_from(span.duration()).map_err(drop))).transpose();
        // A filter with an impossible value finds nothing, and says so.
        let parsed = (
            query.get("tenant").map(str::parse).transpose(),
            query.get("kind").map(str::parse).transpose(),
            query.get("severity").map(str::parse).transpose(),
            since,
        );
        let found = match parsed {
            (Ok(tenant), Ok(kind), Ok(severity), Ok(since)) => {
                let asked = EventQuery {
                    pod: None,
                    tenant,
                    kind,
                    severity,
                    since: since.and_then(|since| page_request.now.checked_sub(since)),
                    limit: PER_PAGE,
                    after: query.get("after").map(str::to_owned),
                };
                view.events(&asked).await?
            }
            _ => Page { items: Vec::new(), next: None },
        };
        let choice = |name: &'static str, title, any, values: Vec<(String, String)>| {
            let chosen = query.get(name).unwrap_or_default();
            let mut values = values;
            if !chosen.is_empty() && !values.iter().any(|(value, _)| value == chosen) {
                values.push((chosen.to_owned(), chosen.to_owned()));
            }
            let options = values.into_iter();
            let options =
                options.map(|(value, label)| FilterOption { chosen: value == chosen, value, label }).collect();
            FilterChoice { name, title, any, options }
        };
        let listed = |values: &[(&str, &str)]| -> Vec<(String, String)> {
            values.iter().map(|(value, label)| ((*value).to_owned(), (*label).to_owned())).collect()
        };
        let same = |value: String| (value.clone(), value);
        let mut kinds: Vec<String> = EventKind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect();
        kinds.sort();
        let mut choices = vec![
            choice("severity", "Severity", "Any severity", listed(&SEVERITIES)),
            choice("kind", "Kind", "Any kind", kinds.into_iter().map(same).collect()),
        ];
        let tenants = view.choices(MAX_TENANTS).await?.tenants;
        if !tenants.is_empty() {
            choices.push(choice("tenant", "Tenant", "Any tenant", tenants.into_iter().map(same).collect()));
        }
        choices.push(choice("since", "Time", "Any time", listed(&TIMES)));
        Ok(EventsPage {
            choices,
            filtered: ["tenant", "kind", "severity", "since"].iter().any(|name| query.get(name).is_some()),
            events: found.items.iter().map(|event| lines::event(event, page_request.now)).collect(),
            pager: Pager {
                first: query.get("after").is_some().then(|| query.with(PATH, "after", None)),
                next: found.next.map(|next| query.with(PATH, "after", Some(&next))),
            },
        })
    }
}
