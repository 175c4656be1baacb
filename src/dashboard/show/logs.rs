//! `/dashboard/pods/T/P/logs`. The lines come from the API, which leaves secrets out.

use super::{
    Guest, Show, lines,
    pod::{id, missing},
};
use crate::dashboard::{pages::logs::Logs, refusal::Refusal};

impl Show {
    pub(super) async fn logs(&self, guest: &Guest, tenant: &str, name: &str) -> Result<Logs, Refusal> {
        let id = id(tenant, name)?;
        let found = self.store.view(&guest.visitor.person).lines(std::slice::from_ref(&id)).await?;
        let line = found.first().ok_or_else(|| missing(&id))?;
        let address = format!("/api/v1/pods/{id}/logs");
        Ok(Logs {
            pod: lines::name(&id),
            container: line.container.clone(),
            lines: Vec::new(),
            download: format!("{address}?tail=10000&timestamps=true"),
            stream: address,
            file: format!("{}-{}.log", id.tenant, id.pod),
            told: None,
        })
    }
}
