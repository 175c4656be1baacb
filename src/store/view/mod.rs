//! The read model: everything pages and API show, read from Postgres alone, so that an AgentPod that stands by shows the
//! same. Every question is asked by a person, and what that person may not see is not in the answer. Writes nothing.

mod types;

pub use types::*;

use super::{Store, error::Result};
use crate::core::{
    access::Person,
    names::{PodId, TenantName},
};

/// The store as one person may see it.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    store: &'a Store,
    person: &'a Person,
}

impl Store {
    /// The store as `person` may see it. Answers of `None` mean: not there, or not for them.
    pub fn view<'a>(&'a self, person: &'a Person) -> View<'a> {
        View { store: self, person }
    }
}

impl View<'_> {
    /// The fleet at a glance.
    pub async fn glance(&self) -> Result<Glance> {
        todo!()
    }

    /// Pods in a list. A cursor that makes no sense is the first page.
    pub async fn pods(&self, query: &PodQuery) -> Result<Page<PodLine>> {
        todo!("{query:?}")
    }

    /// One pod, whole.
    pub async fn pod(&self, id: &PodId) -> Result<Option<PodDetail>> {
        todo!("{id}")
    }

    /// What a pod used over the last day, oldest first.
    pub async fn usage(&self, id: &PodId) -> Result<Option<Vec<UsagePoint>>> {
        todo!("{id}")
    }

    /// Events, newest first.
    pub async fn events(&self, query: &EventQuery) -> Result<Page<EventLine>> {
        todo!("{query:?}")
    }

    /// The tenants with pods or a declaration, in order.
    pub async fn tenants(&self) -> Result<Vec<TenantLine>> {
        todo!()
    }

    /// One of them.
    pub async fn tenant(&self, name: &TenantName) -> Result<Option<TenantLine>> {
        todo!("{name}")
    }

    /// The adapters in force, in order; not for a tenant's person.
    pub async fn adapters(&self) -> Result<Option<Vec<AdapterLine>>> {
        todo!()
    }

    /// What became of the source; not for a tenant's person.
    pub async fn source(&self) -> Result<Option<SourceLine>> {
        todo!()
    }

    /// Revisions, newest first; not for a tenant's person.
    pub async fn revisions(&self, limit: u32, after: Option<&str>) -> Result<Option<Page<RevisionLine>>> {
        todo!("{limit} {after:?}")
    }

    /// One revision; not for a tenant's person.
    pub async fn revision(&self, id: i64) -> Result<Option<RevisionLine>> {
        todo!("{id}")
    }
}
