//! Which containers an action is about.

use super::{Action, Step};

impl Action {
    /// The container that it creates.
    pub(crate) fn created(&self) -> Option<&str> {
        self.steps.iter().find_map(|step| match step {
            Step::Create(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The container that it starts.
    pub(crate) fn started(&self) -> Option<&str> {
        self.steps.iter().find_map(|step| match step {
            Step::Start(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The container that it uploads files into.
    pub(crate) fn uploaded_into(&self) -> Option<&str> {
        self.steps.iter().find_map(|step| match step {
            Step::Upload(name, _) => Some(name.as_str()),
            _ => None,
        })
    }
}
