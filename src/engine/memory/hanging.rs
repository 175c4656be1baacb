//! Pulls that never end, for tests of what waits for them.

use super::MemoryEngine;

/// A pull that hangs, until it is dropped.
struct Hanging<'a>(&'a MemoryEngine, &'a str);

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.world().pulling.remove(self.1);
    }
}

impl MemoryEngine {
    /// Never ends for an image of a registry that hangs.
    pub(super) async fn hang_if_asked(&self, image: &str) {
        let hangs = self.world().hanging_registry.as_ref().is_some_and(|registry| image.starts_with(registry.as_str()));
        if hangs {
            self.world().pulling.insert(image.to_owned());
            let _hanging = Hanging(self, image);
            std::future::pending::<()>().await;
        }
    }
}
