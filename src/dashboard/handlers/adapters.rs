//! `/dashboard/adapters`.

use super::{Handlers, PageRequest};
use crate::{
    dashboard::{
        pages::{
            adapters::{AdapterCard, AdaptersPage, settings},
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
        facts: vec![Fact::code("Image", adapter.image.clone()), Fact::words("Port", adapter.port.to_string())],
        settings: settings(&adapter.config_schema),
    }
}
