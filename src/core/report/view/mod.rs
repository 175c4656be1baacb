//! What people may see of a pod, worked out from what is declared: its shape without secrets, two shapes side by side,
//! its config with what looks like a secret hidden. Pure; where it is kept and who sees it is decided elsewhere.

mod conceal;
mod plan;
mod summary;

pub use conceal::{HIDDEN, conceal};
pub use plan::{ActionLine, PlanLine};
pub use summary::{ContainerSummary, FileSummary, SummaryLine, side_by_side};
