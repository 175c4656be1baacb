//! Alerts: conditions that last and are reported once, when they begin or change.

/// One condition that lasts, as it was last reported.
#[derive(Debug, Default)]
pub(crate) struct Alert(Option<String>);

impl Alert {
    /// An alert that was reported before, if there is a message.
    pub(crate) fn of(message: Option<String>) -> Self {
        Self(message)
    }

    /// The condition holds; returns whether to report it, because it is new or changed.
    pub(crate) fn begin(&mut self, message: &str) -> bool {
        let is_new = self.0.as_deref() != Some(message);
        self.0 = Some(message.to_owned());
        is_new
    }

    /// The condition no longer holds; returns whether it was reported before.
    pub(crate) fn end(&mut self) -> bool {
        self.0.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_reported_when_it_begins_or_changes_and_not_again() {
        let mut alert = Alert::default();
        assert!(!alert.end());
        assert!(alert.begin("one") && !alert.begin("one") && alert.begin("two"));
        assert!(alert.end() && !alert.end());
        assert!(!Alert::of(Some("old".into())).begin("old"), "an alert from before a restart is not reported again");
    }
}
