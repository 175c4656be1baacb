//! What a page says when there is nothing to show: no such page, no permission, something does not answer.

use serde::Serialize;

use super::PageContent;
use crate::dashboard::refusal::Refusal;

/// A refusal as a page.
#[derive(Debug, Clone, Serialize)]
pub struct ProblemPage {
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    pub(crate) detail: String,
}

impl ProblemPage {
    pub(crate) fn of(refusal: &Refusal) -> Self {
        Self { status: refusal.status.as_u16(), title: refusal.title(), detail: refusal.detail.clone() }
    }
}

impl PageContent for ProblemPage {
    const TEMPLATE: &'static str = "problem.html";
    const TAB: &'static str = "none";

    fn title(&self) -> String {
        self.title.into()
    }

    fn sample() -> Self {
        Self::of(&Refusal::not_found("There is no pod alice/none."))
    }
}
