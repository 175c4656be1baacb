//! Templates: an agent's own config rendered from a pod's declared one.
//!
//! Undefined values are errors, nothing outside the given values is in reach, fuel ends what loops, and a file that
//! declares a format must parse as it. Values in JSON-like templates are written as JSON, so that no value can break
//! out of its place.

use std::collections::BTreeMap;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, value::Serde};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document;
use crate::core::{
    names::AdapterName,
    problem::{Position, Problem},
};

/// The most a rendered file may hold, in bytes.
const MAX_RENDERED_BYTES: usize = 1 << 20;
/// Instructions one rendering may take; an ordinary one takes some hundreds.
const FUEL: u64 = 200_000;
/// How deep brackets may nest in a rendered file; the JSON5 parser recurses without a limit of its own.
const MAX_DEPTH: usize = 128;

/// What to do about a template that does not compile.
pub(crate) const HINT: &str = "correct the template; its language is Jinja, as minijinja reads it";

/// What a rendered file must parse as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON5.
    Json5,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
    /// Anything.
    Text,
}

/// All templates of all adapters.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    sources: BTreeMap<String, String>,
}

impl Default for Templates {
    fn default() -> Self {
        Self::new(&BTreeMap::new(), &mut Vec::new())
    }
}

impl Templates {
    /// Compiles templates given by their path below `templates/`.
    pub fn new(files: &BTreeMap<String, Vec<u8>>, problems: &mut Vec<Problem>) -> Self {
        let mut environment = Environment::new();
        // The mode is fixed when a template is loaded, so this comes first.
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
    pub fn has(&self, adapter: &AdapterName, template: &str) -> bool {
        self.sources.contains_key(&format!("{adapter}/{template}"))
    }

    /// Compiles the template of one environment variable.
    pub fn add_environment(&mut self, adapter: &AdapterName, name: &str, template: &str) -> Result<(), String> {
        let added = self.environment.add_template_owned(environment_key(adapter, name), template.to_owned());
        added.map_err(|error| sentence(&error))
    }

    /// Renders one environment variable.
    pub fn render_environment(
        &self,
        adapter: &AdapterName,
        name: &str,
        values: &impl Serialize,
    ) -> Result<String, String> {
        let template =
            self.environment.get_template(&environment_key(adapter, name)).map_err(|error| sentence(&error))?;
        template.render(Serde(values)).map_err(|error| sentence(&error))
    }

    /// Renders a text that stands in an adapter, like the login link.
    pub fn render_text(&self, text: &str, values: &impl Serialize) -> Result<String, String> {
        self.environment.render_str(text, Serde(values)).map_err(|error| sentence(&error))
    }

    /// Renders a file and checks that it parses as its format.
    pub fn render_file(
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
            .hint("render less"));
        }
        match parses(format, &text) {
            Ok(()) => Ok(text),
            Err(why) => {
                let hint = "look at the rendered text: agentpod render TENANT/POD";
                Err(Problem::of_file(file, format!("what it renders to does not parse: {why}")).hint(hint))
            }
        }
    }
}

fn environment_key(adapter: &AdapterName, name: &str) -> String {
    format!("{adapter}#{name}")
}

/// What went wrong, without the values that were in reach: they may be secrets.
fn sentence(error: &minijinja::Error) -> String {
    let what = error.kind().to_string();
    match error.detail() {
        Some(detail) => format!("{what}: {detail}"),
        None => what,
    }
}

fn problem_in(file: &str, source: &str, error: &minijinja::Error) -> Problem {
    let hint = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps; look for a loop that never ends or goes over too many things",
        ErrorKind::UndefinedError => {
            "templates know pod, config, limits, proxy, data, secrets and token; test with \"is defined\" what may be missing"
        }
        ErrorKind::TemplateNotFound => "a template can only include others by their path below templates/",
        _ => HINT,
    };
    let problem = Problem::of_file(file, sentence(error)).hint(hint);
    let Some(line) = error.line() else { return problem };
    let start = error.range().map_or(0, |range| range.start.min(source.len()));
    let column =
        source.get(..start).and_then(|before| before.rsplit('\n').next()).map_or(1, |last| last.chars().count() + 1);
    problem.at(Position { line, column }, source)
}

fn parses(format: Format, text: &str) -> Result<(), String> {
    match format {
        Format::Text => Ok(()),
        Format::Json5 => {
            let depth = deepest_bracket(text);
            if depth > MAX_DEPTH {
                return Err(format!("brackets nest {depth} deep, more than {MAX_DEPTH}"));
            }
            json5::from_str::<serde_json::Value>(text).map(drop).map_err(|error| error.to_string())
        }
        Format::Json => serde_json::from_str::<serde_json::Value>(text).map(drop).map_err(|error| error.to_string()),
        Format::Toml => toml::from_str::<toml::Table>(text).map(drop).map_err(|error| error.message().to_owned()),
        Format::Yaml => match document::read("", text.as_bytes()).1.first() {
            None => Ok(()),
            Some(problem) => Err(match problem.at {
                Some(at) => format!("{} at line {} column {}", problem.what, at.line, at.column),
                None => problem.what.clone(),
            }),
        },
    }
}

/// Counts brackets wherever they stand, also in strings: too careful is fine here.
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
    fn a_value_cannot_break_out_of_its_place() {
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
    fn a_misspelt_value_is_a_problem_with_its_line() {
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
    fn a_template_that_renders_garbage_is_a_problem_in_every_format() {
        for format in [Format::Json5, Format::Json, Format::Yaml, Format::Toml] {
            let error = render("{a: [1, }", format, json!({})).unwrap_err();
            assert!(error.contains("does not parse"), "{format:?} {error}");
        }
        let deep = "[".repeat(3000);
        assert!(render(&deep, Format::Json5, json!({})).unwrap_err().contains("deep"));
    }

    #[test]
    fn a_template_that_cannot_be_compiled_is_a_problem_with_its_line() {
        let error = render("{\n{% if %}\n}", Format::Json5, json!({})).unwrap_err();
        assert!(error.starts_with("templates/echo/t.json5.j2:2:"), "{error}");
    }
}
