//! What is told once although no row of its own says it: that the source cannot be taken as it is, and that removals are
//! held. Both last; they are told when they begin or are another, and not again.

use tracing::warn;

use crate::{
    core::{event::EventKind, observe::actual::Actual, problem::Problem},
    reconcile::{Reconciler, RefusedRevision},
    store::Event,
};

/// What was told last.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    /// Why the source cannot be taken.
    pub refused: Option<String>,
    /// The plan whose removals are held.
    pub held: Option<String>,
}

impl Reconciler {
    /// Tells that what the source holds cannot be taken. What can be read and does not build has a row of its own.
    pub(crate) fn tell_refused(&mut self, refused: &RefusedRevision) {
        let more = match refused.problems.len() {
            0 | 1 => String::new(),
            all => format!(" (and {} more)", all - 1),
        };
        let Some(Problem { file, what, hint, .. }) = refused.problems.first() else { return };
        let hint = hint.as_deref().unwrap_or("what was accepted last stays in force");
        let message = format!("{file}: {what}{more}; {hint}");
        if self.alerts.refused.as_ref() != Some(&message) {
            let event = Event::of_none(EventKind::SourceRefused, &message);
            self.journal.event(Event { revision: self.revision_row, ..event });
            self.alerts.refused = Some(message);
        }
    }

    /// Tells that it can be taken again, as a revision in force or one that is refused.
    pub(crate) fn tell_taken(&mut self) {
        if self.alerts.refused.take().is_some() {
            let message = format!("{} can be read again", self.inputs.origin());
            self.journal.event(Event::of_none(EventKind::SourceAccepted, message));
        }
    }

    /// Tells that removals are held, and by which words they are let go.
    pub(crate) fn tell_held(&mut self) {
        if !matches!(self.actual, Actual::Observed(_)) {
            return;
        }
        let held = self.plan.held_removals.as_ref();
        if held.map(|held| &held.why.plan) == self.alerts.held.as_ref() {
            return;
        }
        self.alerts.held = held.map(|held| held.why.plan.clone());
        if let Some(held) = held {
            warn!("{held}");
            let event = Event::of_none(EventKind::RemovalsHeld, held.to_string());
            self.journal.event(Event { revision: self.revision_row, ..event });
        }
    }
}
