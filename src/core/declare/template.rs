//! Templates: render an agent's own config from a pod's declared one.
//!
//! Undefined values are errors, only the given values are accessible, fuel limits loops, and a rendered file must parse as
//! its declared format. Values in JSON-like templates are escaped as JSON, so that no value can inject anything.

use std::collections::BTreeMap;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, value::Serde};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document;
use crate::core::{
    names::AdapterName,
    problem::{Position, Problem},
};

/// The most bytes of a rendered file.
const MAX_RENDERED_BYTES: usize = 1 << 20;
/// The most instructions of one rendering; an ordinary one takes hundreds.
const FUEL: u64 = 200_000;
/// How deep brackets may be nested in a rendered file; the JSON5 parser recurses without a limit.
const MAX_DEPTH: usize = 128;

/// The hint for a template that does not compile.
pub(crate) const HINT: &str = "correct the template; its syntax is Jinja's, as minijinja supports it";

/// The format of a rendered file, which is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// JSON5.
    Json5,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
    /// Any text.
    Text,
}

/// The templates of all adapters.
#[derive(Debug)]
pub(crate) struct Templates {
    environment: Environment<'static>,
    sources: BTreeMap<String, String>,
}

impl Default for Templates {
    fn default() -> Self {
        Self::new(&BTreeMap::new(), &mut Vec::new())
    }
}

impl Templates {
    /// Compiles templates by their path below `templates/`.
    pub(crate) fn new(files: &BTreeMap<String, Vec<u8>>, problems: &mut Vec<Problem>) -> Self {
        let mut environment = Environment::new();
        // Set first, since escaping is fixed when a template is added.
        environment.set_auto_escape_callback(|name| match name.trim_end_matches(".j2").rsplit('.').next() {
            Some("json" | "json5" | "yaml" | "yml" | "toml") => AutoEscape::Json,
            _ => AutoEscape::None,
        });
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        let mut templates = Self { environment, sources: BTreeMap::new() };
        for (path, bytes) in files.iter().filter(|(path, _)| !path.starts_with("dashboard/")) {
            let file = format!("templates/{path}");
            match std::str::from_utf8(bytes) {
                Ok(text) => {
                    if let Err(error) = templates.environment.add_template_owned(path.clone(), text.to_owned()) {
                        problems.push(problem_in(&file, text, &error));
                    }
                    templates.sources.insert(path.clone(), text.into());
                }
                Err(_) => problems.push(
                    Problem::of_file(file, "the template is not UTF-8 text")
                        .hint("save it as UTF-8, or move it out of the folder"),
                ),
            }
        }
        templates
    }

    /// Whether an adapter has a template of that name.
    pub(crate) fn has(&self, adapter: &AdapterName, template: &str) -> bool {
        self.sources.contains_key(&format!("{adapter}/{template}"))
    }

    /// Compiles the template of one environment variable.
    pub(crate) fn add_environment(
        &mut self,
        adapter: &AdapterName,
        name: &str,
        template: &str,
    ) -> Result<(), TemplateError> {
        let added = self.environment.add_template_owned(environment_key(adapter, name), template.to_owned());
        added.map_err(|error| TemplateError::new(&error))
    }

    /// Renders one environment variable.
    pub(crate) fn render_environment(
        &self,
        adapter: &AdapterName,
        name: &str,
        values: &impl Serialize,
    ) -> Result<String, TemplateError> {
        let template = self
            .environment
            .get_template(&environment_key(adapter, name))
            .map_err(|error| TemplateError::new(&error))?;
        template.render(Serde(values)).map_err(|error| TemplateError::new(&error))
    }

    /// Renders a template from an adapter's file, like the login link.
    pub(crate) fn render_text(&self, text: &str, values: &impl Serialize) -> Result<String, TemplateError> {
        self.environment.render_str(text, Serde(values)).map_err(|error| TemplateError::new(&error))
    }

    /// Renders a file and checks that it parses as its format.
    pub(crate) fn render_file(
        &self,
        adapter: &AdapterName,
        template: &str,
        format: Format,
        values: &impl Serialize,
    ) -> Result<String, Problem> {
        let path = format!("{adapter}/{template}");
        let file = format!("templates/{path}");
        let source = self.sources.get(&path).map_or("", String::as_str);
        let compiled = self.environment.get_template(&path).map_err(|error| problem_in(&file, source, &error))?;
        let text = compiled.render(Serde(values)).map_err(|error| problem_in(&file, source, &error))?;
        if text.len() > MAX_RENDERED_BYTES {
            return Err(Problem::of_file(
                file,
                format!("it renders to {} bytes, more than {MAX_RENDERED_BYTES}", text.len()),
            )
            .hint("shorten the template's output"));
        }
        match check_format(format, &text) {
            Ok(()) => Ok(text),
            Err(error) => {
                let hint = "see the rendered text with agentpod render TENANT/POD";
                Err(Problem::of_file(file, format!("the rendered text does not parse: {error}")).hint(hint))
            }
        }
    }
}

fn environment_key(adapter: &AdapterName, name: &str) -> String {
    format!("{adapter}#{name}")
}

/// Why a template cannot be compiled or rendered. It quotes no values, which may be secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TemplateError(String);

impl TemplateError {
    fn new(error: &minijinja::Error) -> Self {
        let kind = error.kind().to_string();
        match error.detail() {
            Some(detail) => Self(format!("{kind}: {detail}")),
            None => Self(kind),
        }
    }
}

fn problem_in(file: &str, source: &str, error: &minijinja::Error) -> Problem {
    let hint = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps; check for a loop that is endless or too long",
        ErrorKind::UndefinedError => {
            "templates can use pod, config, limits, proxy, data, secrets, token and generated; check optional values with \"is defined\""
        }
        ErrorKind::TemplateNotFound => "include other templates by their path below templates/",
        _ => HINT,
    };
    let problem = Problem::of_file(file, TemplateError::new(error).to_string()).hint(hint);
    let Some(line) = error.line() else { return problem };
    let start = error.range().map_or(0, |range| range.start.min(source.len()));
    let column =
        source.get(..start).and_then(|before| before.rsplit('\n').next()).map_or(1, |last| last.chars().count() + 1);
    problem.at(Position { line, column }, source)
}

/// Why a rendered text does not parse.
#[derive(Debug, thiserror::Error)]
enum FormatError {
    #[error("brackets are nested {0} deep, more than {MAX_DEPTH}")]
    TooDeep(usize),
    #[error("{0}")]
    Syntax(String),
}

impl FormatError {
    fn syntax(error: impl std::fmt::Display) -> Self {
        Self::Syntax(error.to_string())
    }
}

fn check_format(format: Format, text: &str) -> Result<(), FormatError> {
    match format {
        Format::Text => Ok(()),
        Format::Json5 => {
            let depth = deepest_bracket(text);
            if depth > MAX_DEPTH {
                return Err(FormatError::TooDeep(depth));
            }
            json5::from_str::<serde_json::Value>(text).map(drop).map_err(FormatError::syntax)
        }
        Format::Json => serde_json::from_str::<serde_json::Value>(text).map(drop).map_err(FormatError::syntax),
        Format::Toml => toml::from_str::<toml::Table>(text)
            .map(drop)
            .map_err(|error| FormatError::Syntax(error.message().to_owned())),
        Format::Yaml => match document::read("", text.as_bytes()).1.first() {
            None => Ok(()),
            Some(problem) => Err(FormatError::Syntax(match problem.at {
                Some(at) => format!("{} at line {} column {}", problem.what, at.line, at.column),
                None => problem.what.clone(),
            })),
        },
    }
}

/// How deep brackets are nested, counting those in strings too: a cautious estimate is fine.
fn deepest_bracket(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(template: &str, format: Format, values: serde_json::Value) -> Result<String, String> {
        let files = BTreeMap::from([("echo/t.json5.j2".to_owned(), template.as_bytes().to_vec())]);
        let mut problems = Vec::new();
        let templates = Templates::new(&files, &mut problems);
        if let Some(problem) = problems.first() {
            return Err(problem.to_string());
        }
        templates
            .render_file(&"echo".parse().unwrap(), "t.json5.j2", format, &values)
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_value_cannot_inject_anything() {
        let text = render(
            "{a: {{ name }}, b: {{ list }}}",
            Format::Json5,
            json!({"name": "x\", evil: \"1", "list": [1, "2"]}),
        )
        .unwrap();
        let parsed: serde_json::Value = json5::from_str(&text).unwrap();
        assert_eq!(parsed, json!({"a": "x\", evil: \"1", "b": [1, "2"]}));
    }

    #[test]
    fn a_misspelled_value_is_a_problem_with_its_line() {
        let error = render("{\n  a: {{ pod.nmae }},\n}", Format::Json5, json!({"pod": {"name": "x"}})).unwrap_err();
        assert!(error.starts_with("templates/echo/t.json5.j2:2:"), "{error}");
        assert!(error.contains("undefined"), "{error}");
    }

    #[test]
    fn a_template_that_loops_runs_out_of_fuel_instead_of_time() {
        let template = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        let error = render(template, Format::Text, json!({})).unwrap_err();
        assert!(error.contains("fuel"), "{error}");
    }

    #[test]
    fn a_rendered_text_that_does_not_parse_is_a_problem_in_every_format() {
        for format in [Format::Json5, Format::Json, Format::Yaml, Format::Toml] {
            let error = render("{a: [1, }", format, json!({})).unwrap_err();
            assert!(error.contains("does not parse"), "{format:?} {error}");
        }
        let deep = "[".repeat(3000);
        assert!(render(&deep, Format::Json5, json!({})).unwrap_err().contains("deep"));
    }

    #[test]
    fn a_template_that_does_not_compile_is_a_problem_with_its_line() {
        let error = render("{\n{% if %}\n}", Format::Json5, json!({})).unwrap_err();
        assert!(error.starts_with("templates/echo/t.json5.j2:2:"), "{error}");
    }
}
