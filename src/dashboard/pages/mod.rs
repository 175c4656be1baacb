//! What each page shows, as plain values that a template only has to write down: texts are ready to read, times carry
//! their distance from now. A page knows nothing of the store or of HTTP, and has a sample that tests and pictures use.

pub mod adapters;
pub mod diff;
pub mod events;
pub mod fields;
pub mod frame;
pub mod logs;
pub mod new;
pub mod overview;
pub mod plot;
pub mod pod;
pub mod pods;
pub mod problems;
pub mod render;
pub mod settings;
pub mod source;
pub mod tenant;
pub mod tenants;
pub mod words;

use serde::Serialize;

pub use frame::{Frame, Notice};
pub use render::{document, fragment};

/// A page.
pub trait Page: Serialize {
    /// The file below `templates/dashboard/` that writes it down.
    const TEMPLATE: &'static str;
    /// What its window is called.
    fn title(&self) -> String;
    /// The tab it belongs to, by the last part of its address; the overview's is empty.
    const TAB: &'static str;
    /// One with everything in it that it can show.
    fn sample() -> Self;
}
