//! `/dashboard/adapters`.

use super::{Handlers, PageRequest};
use crate::{
    dashboard::{
        pages::{
            adapters::{AdapterCard, AdaptersPage, KnownSecret, settings},
            words::{Fact, count},
        },
        refusal::Refusal,
    },
    store::view::AdapterLine,
};

impl Handlers {
    pub(crate) async fn adapters(&self, page_request: &PageRequest) -> Result<AdaptersPage, Refusal> {
        page_request.visitor.needs(page_request.visitor.person.sees_all())?;
        let all = self.api.store.view(&page_request.visitor.person).adapters().await?.unwrap_or_default();
        Ok(AdaptersPage { adapters: all.iter().map(card).collect() })
    }
}

fn card(adapter: &AdapterLine) -> AdapterCard {
    AdapterCard {
        name: adapter.name.to_string(),
        title: adapter.title.clone(),
        description: adapter.description.clone(),
        pods: count(adapter.pods.len() as i64, "pod"),
        facts: facts(adapter),
        secrets: adapter
            .secrets
            .iter()
            .map(|(name, text)| KnownSecret { name: name.clone(), text: text.clone() })
            .collect(),
        settings: settings(&adapter.config_schema),
    }
}

fn facts(adapter: &AdapterLine) -> Vec<Fact> {
    let resources = [
        adapter.memory.clone(),
        adapter.cpus.as_ref().map(|cpus| format!("{cpus} processors")),
        adapter.minimum_memory.as_ref().map(|least| format!("at least {least}")),
    ];
    let resources: Vec<String> = resources.into_iter().flatten().collect();
    vec![
        Fact::code("Image", adapter.image.clone()),
        Fact::words(
            "Image here",
            match adapter.containers {
                0 => "not known: no pod has a container yet; the first one pulls it".into(),
                pods => format!("yes: {} have a container", count(pods, "pod")),
            },
        ),
        Fact::words("Port", adapter.port.to_string()),
        Fact::words("Resources", if resources.is_empty() { "none set".into() } else { resources.join(", ") }),
        Fact::words("Health", adapter.health.clone()),
        Fact::words("Login link", if adapter.has_login { "yes, with agentpod open" } else { "no" }),
    ]
}
