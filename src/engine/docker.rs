//! Placeholder while the Docker engine is being written.
