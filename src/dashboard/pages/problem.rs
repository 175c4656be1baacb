//! What a page says when there is nothing to show: no such page, no permission, something does not answer.

use serde::Serialize;

use super::PageContent;

/// A refusal as a page.
#[derive(Debug, Clone, Serialize)]
pub struct ProblemPage {
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    pub(crate) detail: String,
}

impl ProblemPage {
    /// A refusal by its status, the words for that, and what to do.
    pub(crate) fn new(status: u16, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into() }
    }
}

impl PageContent for ProblemPage {
    const TEMPLATE: &'static str = "problem.html";
    const TAB: &'static str = "none";

    fn title(&self) -> String {
        self.title.into()
    }

    fn sample() -> Self {
        Self::new(404, "Not Found", "There is no pod alice/none.")
    }
}
