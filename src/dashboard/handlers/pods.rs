//! `/dashboard/pods`.

use super::{Handlers, PageRequest, lines};
use crate::{
    core::report::phase::Phase,
    dashboard::{
        pages::{
            pods::{AttentionFilter, Filter, FilterChoice, FilterOption, Pager, PodsPage, columns},
            words::{count, thousands},
        },
        refusal::Refusal,
    },
    store::view::{PodColumn, PodQuery},
};

/// Pods per page.
const PER_PAGE: u32 = 50;
/// How many tenants can be chosen from; with more of them, the search finds one.
const MAX_TENANTS: usize = 60;
/// The filter value for all phases that need attention.
const ATTENTION: &str = "attention";
const PATH: &str = "/dashboard/pods";

impl Handlers {
    pub(crate) async fn pods(&self, page_request: &PageRequest) -> Result<PodsPage, Refusal> {
        let view = self.api.store.view(&page_request.visitor.person);
        let query = &page_request.query;
        let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
        let sort = if text("sort").is_empty() { "name".to_owned() } else { text("sort") };
        let (by, descending) = sort.strip_prefix('-').map_or((sort.as_str(), false), |by| (by, true));
        // A filter with an impossible value finds nothing, and says so.
        let tenant = query.get("tenant").map(str::parse).transpose();
        let adapter = query.get("adapter").map(str::parse).transpose();
        let phases = phases(&text("phase"));
        let found = match (tenant, adapter, phases) {
            (Ok(tenant), Ok(adapter), Some(phases)) => {
                let pod_query = PodQuery {
                    text: query.get("q").map(str::to_owned),
                    tenant,
                    phases,
                    adapter,
                    sort: serde_json::from_value::<PodColumn>(by.into()).unwrap_or_default(),
                    descending,
                    limit: PER_PAGE,
                    after: query.get("after").map(str::to_owned),
                    ..PodQuery::default()
                };
                Some(view.pods(&pod_query).await?)
            }
            _ => None,
        };
        let (rows, next) = found.map(|page| (page.items, page.next)).unwrap_or_default();
        let choices = view.choices(MAX_TENANTS).await?;
        let total = choices.pods;
        let filtered = ["q", "phase", "tenant", "adapter"].iter().any(|name| query.get(name).is_some());
        let is_later = query.get("after").is_some();
        let shown = match (filtered, next.is_some() || is_later) {
            (false, false) => count(total, "pod"),
            (false, true) => format!("{} of {}", thousands(rows.len() as i64), count(total, "pod")),
            (true, false) => format!("{} of {} found", thousands(rows.len() as i64), count(total, "pod")),
            (true, true) => format!("{} of those found", thousands(rows.len() as i64)),
        };
        let entries = |name: &str, values: Vec<(String, String)>| -> Vec<FilterOption> {
            let chosen = text(name);
            let mut values = values;
            if !chosen.is_empty() && !values.iter().any(|(value, _)| *value == chosen) {
                values.push((chosen.clone(), chosen.clone()));
            }
            values.into_iter().map(|(value, label)| FilterOption { chosen: value == chosen, value, label }).collect()
        };
        let same = |values: Vec<String>| values.into_iter().map(|value| (value.clone(), value)).collect::<Vec<_>>();
        let mut phase_values = same(Phase::BY_URGENCY.iter().map(|phase| phase.to_string()).collect());
        phase_values.insert(0, (ATTENTION.into(), "Needs attention".into()));
        let mut all = vec![FilterChoice {
            name: "phase",
            title: "Phase",
            any: "Any phase",
            options: entries("phase", phase_values),
        }];
        if !choices.tenants.is_empty() || !text("tenant").is_empty() {
            let options = entries("tenant", same(choices.tenants));
            all.push(FilterChoice { name: "tenant", title: "Tenant", any: "Any tenant", options });
        }
        all.push(FilterChoice {
            name: "adapter",
            title: "Adapter",
            any: "Any adapter",
            options: entries("adapter", same(choices.adapters)),
        });
        Ok(PodsPage {
            filter: Filter { q: text("q"), sort: text("sort") },
            choices: all,
            columns: columns(&sort, Some(&|sort| query.with(PATH, "sort", Some(sort)))),
            rows: rows.iter().map(|line| lines::row(line, page_request.now)).collect(),
            attention: AttentionFilter {
                pods: choices.needs_attention,
                on: text("phase") == ATTENTION,
                href: query.with(PATH, "phase", (text("phase") != ATTENTION).then_some(ATTENTION)),
            },
            filtered,
            total,
            shown,
            pager: Pager {
                first: is_later.then(|| query.with(PATH, "after", None)),
                next: next.map(|next| query.with(PATH, "after", Some(&next))),
            },
        })
    }
}

/// The phases of a filter; `None` if it is not a phase.
fn phases(text: &str) -> Option<Vec<Phase>> {
    match text {
        "" => Some(Vec::new()),
        ATTENTION => Some(Phase::all_that_need_attention().collect()),
        word => word.parse().ok().map(|phase| vec![phase]),
    }
}
