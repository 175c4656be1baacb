//! The core, compiled with the fuzzer's coverage instrumentation, and the fuzz targets.

#[allow(dead_code, unused_imports, reason = "the targets use only a part of the core")]
#[path = "../../src/core/mod.rs"]
pub mod core;
pub mod targets;
