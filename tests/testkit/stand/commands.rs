//! The command line as people and scripts use it beside a running daemon.

use std::{io::Write, process::Stdio};

use serde_json::Value;

use super::{Stand, daemon::agentpod};

/// What a command answered.
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Stand {
    /// Runs `agentpod` with arguments.
    pub fn agentpod(&self, arguments: &[&str]) -> Said {
        let output = agentpod(&self.place, arguments).env("AGENTPOD_LOG", "warn").output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The same with somebody at the keyboard.
    pub fn agentpod_told(&self, arguments: &[&str], typed: &str) -> Said {
        let mut command = agentpod(&self.place, arguments);
        command.env("AGENTPOD_LOG", "warn").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
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
