//! Between our types and the Docker API's: pure data, both ways. Nothing in here calls anything or decides anything;
//! only [`container`] says what a container may do.

pub mod container;
pub mod event;
pub mod files;
pub mod image;
pub mod in_force;
pub mod lines;
pub mod observed;
pub mod orphans;
