//! What triggers rounds and what is measured: engine events and timers (`triggers`), fetches of a git source
//! (`git_poll`), changed images (`images`), probes (`probe`), usage (`usage`), and whether the source is stale (`watchdog`).
//! Everything here reports by message and changes nothing.

mod engine;
pub(super) mod git_poll;
pub(super) mod images;
pub(super) mod probe;
pub(super) mod triggers;
pub(super) mod usage;
pub(super) mod watchdog;
