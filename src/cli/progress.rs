//! What a command waits for, on standard error: one line that changes on a terminal, one line per change elsewhere.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// Shown until it is dropped.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    said: String,
}

impl Progress {
    /// Begins with a first line.
    pub(crate) fn new(line: &str) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed:>4}");
            let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let mut progress = Self { bar, said: String::new() };
        progress.show(line);
        progress
    }

    /// Shows another line, if it is another one.
    pub(crate) fn show(&mut self, line: &str) {
        if self.said == line {
            return;
        }
        line.clone_into(&mut self.said);
        match &self.bar {
            Some(bar) => bar.set_message(self.said.clone()),
            None => eprintln!("{line}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
