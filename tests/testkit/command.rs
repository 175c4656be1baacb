//! Commands that end: run, given something to read, and what they said.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a command may take. A daemon that starts where it should not would never end.
const LIMIT: Duration = Duration::from_mins(2);

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Itself, if all went well.
    pub fn well(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// What it said, with every age alike: two commands are not typed in the same second.
    pub fn ageless(&self) -> String {
        let is_age = |word: &str| {
            let word = word.trim_matches(|c| matches!(c, '(' | ')' | ',' | ':'));
            word.strip_suffix(['s', 'm']).is_some_and(|number| number.parse::<u32>().is_ok())
        };
        let words = |line: &str| {
            let words = line.split_whitespace().map(|word| if is_age(word) { "AGE" } else { word });
            words.collect::<Vec<_>>().join(" ")
        };
        self.out.lines().map(words).collect::<Vec<_>>().join("\n")
    }
}

/// Runs a command with something on its standard input.
pub fn run(command: &mut Command, input: &str) -> Said {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // One that refuses at once reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let out = read(child.stdout.take().unwrap());
    let err = read(child.stderr.take().unwrap());
    let deadline = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("not over within {LIMIT:?}: {command:?}");
        }
        thread::sleep(Duration::from_millis(5));
    };
    Said { code: status.code().unwrap_or(-1), out: out.join().unwrap(), err: err.join().unwrap() }
}

/// Runs a command while the test's own servers go on answering.
pub async fn run_beside(mut command: Command) -> Said {
    tokio::task::spawn_blocking(move || run(&mut command, "")).await.unwrap()
}

fn read(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).expect("a command says text")
    })
}
