//! Between our words and the Docker API's: pure text and data, both ways. Nothing in here may call anything, and
//! nothing in here decides; what is allowed to a container is settled in [`container`] and nowhere else.

pub mod container;
pub mod event;
pub mod files;
pub mod image;
pub mod in_force;
pub mod lines;
pub mod observed;
pub mod orphans;
