//! The command line as people and scripts use it beside a running daemon.

use serde_json::Value;

use super::{Stand, daemon::agentpod};
use crate::testkit::command::{Said, run};

impl Stand {
    /// Runs `agentpod` with arguments.
    pub fn agentpod(&self, arguments: &[&str]) -> Said {
        self.agentpod_told(arguments, "")
    }

    /// The same with somebody at the keyboard.
    pub fn agentpod_told(&self, arguments: &[&str], typed: &str) -> Said {
        run(agentpod(&self.place, arguments).env("AGENTPOD_LOG", "warn"), typed)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.agentpod(arguments);
        serde_json::from_str(&said.out)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{}\n{}", said.out, said.err))
    }

    /// The pods' rows.
    pub fn rows(&self) -> Vec<Value> {
        rows(&self.json(&["status", "-o", "json"])["pods"])
    }

    /// A pod's row.
    pub fn row(&self, id: &str) -> Value {
        self.rows().into_iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("{id} has no row"))
    }

    /// A pod's events, oldest first.
    pub fn events(&self, id: &str) -> Vec<Value> {
        rows(&self.json(&["events", id, "--limit", "500", "-o", "json"]))
    }
}

fn rows(list: &Value) -> Vec<Value> {
    list.as_array().unwrap_or_else(|| panic!("{list} is no list")).clone()
}
