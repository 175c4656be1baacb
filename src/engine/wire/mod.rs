//! Between our types and the Docker API's: pure data, both ways. Nothing in here calls anything or decides anything;
//! only [`container`] says what a container may do.

pub(crate) mod container;
pub(crate) mod event;
pub(crate) mod files;
pub(crate) mod image;
pub(crate) mod in_force;
pub(crate) mod lines;
pub(crate) mod observed;
pub(crate) mod orphans;
pub(crate) mod routes;
