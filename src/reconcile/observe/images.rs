//! Notices that the engine's images changed: one that was missing is there, or a tag means another image than the one that a
//! container was created from. A pod that waits is tried at once; a moved tag is reported and leads to no step, since the
//! declaration is the same.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::mpsc;

use crate::{
    core::{event::EventKind, names::PodId, observe::actual::Actual},
    engine::Engine,
    reconcile::{
        Reconciler,
        message::{ImageIds, Report},
        report::pod_event::PodEvent,
    },
};

/// Asks the engine for the IDs of images, and reports them. An engine that does not answer reports nothing: the next change,
/// or the connection to it, asks again.
async fn look(engine: Arc<dyn Engine>, names: BTreeSet<String>, reports: mpsc::UnboundedSender<Report>) {
    let mut ids = ImageIds::new();
    for name in names {
        match engine.image_id(&name).await {
            Ok(id) => ids.insert(name, id),
            Err(_) => return,
        };
    }
    let _ = reports.send(Report::Images(ids));
}

impl Reconciler {
    /// Has the images of all declared pods looked for, beside the rounds.
    pub(in crate::reconcile) fn look_for_images(&self) {
        let desired = self.desired.iter().flat_map(|desired| desired.pods.values());
        let names: BTreeSet<String> = desired.map(|pod| pod.container.blueprint.image.clone()).collect();
        if !names.is_empty() {
            tokio::spawn(look(self.engine.clone(), names, self.reports.clone()));
        }
    }

    /// Compares the images with those known before. Returns whether a round is due: a pod is tried at once, or an event is to
    /// be stored.
    pub(in crate::reconcile) fn images_seen(&mut self, ids: ImageIds) -> bool {
        let before = std::mem::replace(&mut self.images, ids);
        let Some(desired) = self.desired.clone() else { return false };
        let mut is_due = false;
        for (id, pod) in &desired.pods {
            let name = &pod.container.blueprint.image;
            let Some(Some(now)) = self.images.get(name).cloned() else { continue };
            // Before the first look nothing is known to have changed.
            let Some(known) = before.get(name) else { continue };
            if known.as_ref() == Some(&now) {
                continue;
            }
            is_due |= self.ledger.try_at_once(id, crate::clock::now());
            if let Some(container) = self.runs_another_image(id, &pod.container.digest, &now) {
                let message = format!(
                    "{} runs {}, but {name} means {} now; to use it, name its digest or another tag in the manifest",
                    container.name,
                    short(&container.image),
                    short(&now)
                );
                self.report_event(id, PodEvent::new(EventKind::ImageMoved, message).about(Some(&container.name)));
                // A round stores it.
                is_due = true;
            }
        }
        is_due
    }

    /// The pod's container for this digest, if it was created from another image than `image`.
    fn runs_another_image(&self, id: &PodId, digest: &crate::core::digest::Digest, image: &str) -> Option<OtherImage> {
        let Actual::Observed(observed) = &self.actual else { return None };
        let container = observed.get(id)?.iter().find(|container| container.digest == *digest)?;
        let own = container.in_force.as_ref()?.image.clone()?;
        (own != image).then(|| OtherImage { name: container.name.clone(), image: own })
    }
}

/// A container and the image it was created from.
struct OtherImage {
    name: String,
    image: String,
}

/// The beginning of an image's ID, as people see it elsewhere.
fn short(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..12).unwrap_or(hex)
}
