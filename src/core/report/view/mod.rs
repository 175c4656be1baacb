//! What people may see of a pod: its container's summary without secrets, two summaries side by side,
//! its config with secrets hidden, what was planned. Pure; the store keeps it, the dashboard decides who sees it.

mod conceal;
mod plan;
mod summary;

pub(crate) use conceal::{conceal, is_named_secret};
pub use plan::{ActionLine, PlanLine};
pub use summary::{ContainerSummary, FileSummary, SummaryLine, side_by_side};
