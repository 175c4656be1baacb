//! The read model: everything pages and API show, read from Postgres alone, so that an AgentPod that stands by shows the
//! same. Every question is asked by a person, and what that person may not see is not in the answer. Writes nothing.

mod choices;
mod cursor;
mod events;
mod fleet;
mod overview;
mod pod;
mod pods;
mod source;
mod tenants;
mod types;
mod usage;

pub use choices::Choices;
pub use fleet::*;
pub use types::*;

use super::Store;
use crate::core::access::Person;

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
    /// The one tenant whose things may be in an answer; `None` means all. The first parameter of every question.
    fn only(&self) -> Option<&str> {
        self.person.tenant.as_ref().map(|tenant| tenant.as_str())
    }
}
