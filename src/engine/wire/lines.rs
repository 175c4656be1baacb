//! Log frames as lines. The engine splits long lines into frames, and with timestamps each frame of a line has a time
//! of its own; both are corrected here.

use crate::engine::LogLine;

/// Longer lines are cut, so that a program that never ends its line cannot fill our memory.
const LONGEST: usize = 256 * 1024;

/// Joins the frames of one output to lines.
#[derive(Debug)]
pub(crate) struct Lines {
    stderr: bool,
    timestamps: bool,
    pending: Vec<u8>,
}

impl Lines {
    /// Of standard output, without times.
    pub(crate) fn of_stdout() -> Self {
        Self { stderr: false, timestamps: false, pending: Vec::new() }
    }

    /// Of standard error, without times.
    pub(crate) fn of_stderr() -> Self {
        Self { stderr: true, ..Self::of_stdout() }
    }

    /// The same with a time before every frame, or not.
    pub(crate) fn with_timestamps(self, timestamps: bool) -> Self {
        Self { timestamps, ..self }
    }

    /// The lines that end in this frame.
    pub(crate) fn take(&mut self, frame: &[u8]) -> Vec<LogLine> {
        let goes_on = self.timestamps && !self.pending.is_empty();
        self.pending.extend_from_slice(if goes_on { without_time(frame) } else { frame });
        let mut lines = Vec::new();
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let mut line: Vec<u8> = self.pending.drain(..=end).collect();
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            lines.push(self.line(&line));
        }
        if self.pending.len() > LONGEST {
            lines.extend(self.rest());
        }
        lines
    }

    /// The rest when the output ends without a line end.
    pub(crate) fn rest(&mut self) -> Option<LogLine> {
        let line = std::mem::take(&mut self.pending);
        (!line.is_empty()).then(|| self.line(&line))
    }

    fn line(&self, bytes: &[u8]) -> LogLine {
        LogLine { stderr: self.stderr, text: String::from_utf8_lossy(bytes).into_owned() }
    }
}

/// A frame that continues a line, without the time that the engine put before it.
fn without_time(frame: &[u8]) -> &[u8] {
    let Some(space) = frame.iter().take(40).position(|byte| *byte == b' ') else { return frame };
    let looks_like_a_time =
        space >= 20 && frame[..4].iter().all(u8::is_ascii_digit) && frame[4] == b'-' && frame[10] == b'T';
    if looks_like_a_time { &frame[space + 1..] } else { frame }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &mut Lines, frames: &[&str]) -> Vec<String> {
        let mut all: Vec<LogLine> = frames.iter().flat_map(|frame| lines.take(frame.as_bytes())).collect();
        all.extend(lines.rest());
        all.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_split_whatever_the_frames_are() {
        assert_eq!(texts(&mut Lines::of_stdout(), &["a\nb", "c\n\nd\r\n", "e"]), ["a", "bc", "", "d", "e"]);
    }

    #[test]
    fn the_time_of_a_frame_that_goes_on_with_a_line_is_dropped() {
        let frames = ["2026-11-23T10:00:00.000000001Z begin ", "2026-11-23T10:00:00.000000002Z and end\n"];
        assert_eq!(
            texts(&mut Lines::of_stdout().with_timestamps(true), &frames),
            ["2026-11-23T10:00:00.000000001Z begin and end"]
        );
    }

    #[test]
    fn a_letter_cut_in_two_comes_together_again() {
        let mut lines = Lines::of_stderr();
        assert!(lines.take(&"é".as_bytes()[..1]).is_empty());
        let line = lines.take(&[&"é".as_bytes()[1..], b"\n"].concat());
        assert_eq!(line, [LogLine { stderr: true, text: "é".into() }]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Lines::of_stdout();
        assert_eq!(lines.take(&vec![b'x'; LONGEST + 1]).len(), 1);
        assert_eq!(lines.rest(), None);
    }
}
