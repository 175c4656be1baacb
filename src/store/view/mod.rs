//! The read model: everything that pages and API show, read from Postgres alone, so that a standby shows the same. Every
//! query is made by a person, and what that person may not see is not in the result. Writes nothing.

mod choices;
mod cursor;
mod diff;
mod events;
mod fleet;
mod held;
mod overview;
mod pod;
mod pods;
mod source;
mod tenants;
mod types;
mod usage;

pub(crate) use diff::{ChangedFile, NotComparable, Side, changed_files, changed_pods};
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
    /// The store as `person` may see it. A result of `None` means: it does not exist, or not for them.
    pub fn view<'a>(&'a self, person: &'a Person) -> View<'a> {
        View { store: self, person }
    }
}

impl View<'_> {
    /// The one tenant that the person may see; `None` means all. The first parameter of every query.
    fn only(&self) -> Option<&str> {
        self.person.tenant.as_ref().map(|tenant| tenant.as_str())
    }
}
