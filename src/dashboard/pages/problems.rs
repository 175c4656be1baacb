//! Problems as pages show them: the position, the line, and carets below the word. The same parts as `agentpod validate`
//! prints, separated for styling.

use serde::Serialize;

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ProblemLine {
    /// Its position: `alice.yaml:13:3`.
    pub(crate) place: String,
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
    /// The line's number.
    pub(crate) line: String,
    /// Blanks of the same width.
    pub(crate) margin: String,
    /// The line itself.
    pub(crate) excerpt: Option<String>,
    /// The text before the carets.
    pub(crate) before: String,
    /// The carets.
    pub(crate) carets: String,
}

impl ProblemLine {
    /// From the text that `agentpod validate` prints, so that both always say the same.
    pub(crate) fn from_text(text: &str) -> Self {
        let mut problem = Self {
            place: String::new(),
            what: text.into(),
            help: None,
            line: String::new(),
            margin: String::new(),
            excerpt: None,
            before: String::new(),
            carets: String::new(),
        };
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        if let Some((place, what)) = first.split_once(": ") {
            (problem.place, problem.what) = (place.into(), what.into());
        } else {
            problem.what = first.into();
        }
        for line in lines {
            let Some(inner) = line.strip_prefix("  ") else {
                problem.what = format!("{} {line}", problem.what);
                continue;
            };
            if let Some(help) = inner.strip_prefix("help: ") {
                problem.help = Some(help.into());
            } else if let Some((number, shown)) = inner.split_once(" | ") {
                if number.trim().is_empty() {
                    let caret = shown.find('^').unwrap_or(shown.len());
                    (problem.before, problem.carets) = (shown[..caret].into(), shown[caret..].into());
                } else {
                    problem.margin = " ".repeat(number.len());
                    (problem.line, problem.excerpt) = (number.into(), Some(shown.into()));
                }
            }
        }
        problem
    }

    /// A sample.
    pub(crate) fn sample() -> Self {
        Self::from_text(
            "alice.yaml:13:3: unknown field \"resorces\"\n  13 |   resorces: {memory: 2Gi}\n     |   ^^^^^^^^\n  help: did you mean \"resources\"?",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_its_place_its_line_its_carets_and_its_help() {
        let problem = ProblemLine::sample();
        assert_eq!((problem.place.as_str(), problem.what.as_str()), ("alice.yaml:13:3", "unknown field \"resorces\""));
        assert_eq!(problem.excerpt.as_deref(), Some("  resorces: {memory: 2Gi}"));
        assert_eq!((problem.before.as_str(), problem.carets.as_str()), ("  ", "^^^^^^^^"));
        assert_eq!(problem.help.as_deref(), Some("did you mean \"resources\"?"));
    }

    #[test]
    fn one_without_a_line_has_only_its_file_and_sentence() {
        let problem = ProblemLine::from_text("manifests: nothing is declared in here");
        assert_eq!((problem.place.as_str(), problem.excerpt), ("manifests", None));
    }
}
