//! What each page shows, as plain values for its template: texts are ready to read, times include their distance from now. A
//! page knows nothing of the store or of HTTP, and has a sample for tests and pictures.

pub mod account;
pub mod adapters;
pub(crate) mod diff;
pub mod events;
pub mod fields;
pub(crate) mod frame;
pub mod logs;
pub mod manifest;
pub mod new;
pub mod open;
pub mod overview;
pub(crate) mod plot;
pub mod pod;
pub mod pods;
pub mod problem;
pub(crate) mod problems;
pub(crate) mod render;
pub mod revision;
pub mod settings;
pub mod source;
pub mod tenant;
pub mod tenants;
pub mod words;

use serde::Serialize;

pub use frame::{Frame, Notice};
pub use render::{document, fragment};

/// A page.
pub trait PageContent: Serialize {
    /// Its template below `templates/dashboard/`.
    const TEMPLATE: &'static str;
    /// The window's title.
    fn title(&self) -> String;
    /// Its tab, by the last part of the URL; the overview's is empty.
    const TAB: &'static str;
    /// A sample with everything that it can show.
    fn sample() -> Self;
}
