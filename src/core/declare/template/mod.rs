//! Templates: render an agent's own config from a pod's declared one.
//!
//! A template is bounded before it is parsed. Undefined values are errors, only the given values are accessible, fuel limits
//! time and memory, and a rendered file must parse as its declared format. Values in JSON-like templates are escaped as JSON, so that no value can inject anything.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod limits;

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, filters,
    value::{Kwargs, Serde},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document;
use crate::core::{
    names::AdapterName,
    printable,
    problem::{Position, Problem, Problems},
};

/// The most bytes of a rendered file.
const MAX_RENDERED_BYTES: usize = 1 << 20;
/// What one rendering may cost in instructions and bytes; an ordinary one takes hundreds.
const FUEL: u64 = 200_000;
/// How deep macros and includes may call each other.
const MAX_CALLS: usize = 50;
/// The most spaces of an indentation in JSON.
const MAX_INDENT: usize = 16;
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
    /// The folders with a template that cannot be used.
    broken: BTreeSet<String>,
}

impl Default for Templates {
    fn default() -> Self {
        Self::new(&BTreeMap::new(), &mut Problems::default())
    }
}

impl Templates {
    /// Compiles templates by their path below `templates/`.
    pub(crate) fn new(files: &BTreeMap<String, Vec<u8>>, problems: &mut Problems) -> Self {
        let mut environment = Environment::new();
        // Set first, since escaping is fixed when a template is added.
        environment.set_auto_escape_callback(|name| match name.trim_end_matches(".j2").rsplit('.').next() {
            Some("json" | "json5" | "yaml" | "yml" | "toml") => AutoEscape::Json,
            _ => AutoEscape::None,
        });
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(MAX_CALLS);
        // It could nest values in a loop, as deep as there is fuel.
        environment.remove_global("namespace");
        environment.add_filter("tojson", to_json);
        let mut templates = Self { environment, sources: BTreeMap::new(), broken: BTreeSet::new() };
        for (path, bytes) in files.iter().filter(|(path, _)| !path.starts_with("dashboard/")) {
            let file = format!("templates/{path}");
            let before = problems.len();
            match std::str::from_utf8(bytes) {
                Ok(text) => {
                    match templates.add(path.clone(), text) {
                        Ok(()) => {}
                        Err(NotAdded::TooLarge(at, error)) => {
                            let problem =
                                Problem::of_file(&file, error.to_string()).hint("split it, or move data out of it");
                            problems.push(problem.at(position_of(at, text), text));
                        }
                        Err(NotAdded::Syntax(error)) => problems.push(problem_in(&file, text, &error)),
                    }
                    templates.sources.insert(path.clone(), text.into());
                }
                Err(_) => problems.push(
                    Problem::of_file(file, "the template is not UTF-8 text")
                        .hint("save it as UTF-8, or move it out of the folder"),
                ),
            }
            if problems.len() > before {
                templates.broken.extend(path.split('/').next().map(str::to_owned));
            }
        }
        templates
    }

    /// Whether a template in an adapter's folder cannot be used.
    pub(crate) fn has_broken(&self, folder: &str) -> bool {
        self.broken.contains(folder)
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
        Ok(self.add(environment_key(adapter, name), template)?)
    }

    /// Compiles a template, if it is not too large.
    fn add(&mut self, name: String, text: &str) -> Result<(), NotAdded> {
        limits::check(text).map_err(|(at, error)| NotAdded::TooLarge(at, error))?;
        self.environment.add_template_owned(name, text.to_owned()).map_err(NotAdded::Syntax)
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
        limits::check(text).map_err(|(at, error)| NotAdded::TooLarge(at, error))?;
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

/// The filter `tojson`, which takes any indentation on its own.
fn to_json(value: &Value, indent: Option<Value>, arguments: Kwargs) -> Result<Value, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => arguments.get::<Option<Value>>("indent")?,
    };
    arguments.assert_all_used()?;
    let too_wide = |indent: &Value| usize::try_from(indent.clone()).is_ok_and(|spaces| spaces > MAX_INDENT);
    if indent.as_ref().is_some_and(too_wide) {
        let why = format!("tojson takes an indent of at most {MAX_INDENT} spaces");
        return Err(Error::new(ErrorKind::InvalidOperation, why));
    }
    filters::tojson(value, indent, std::iter::empty::<(&str, Value)>().collect())
}

/// Why a template is not compiled.
enum NotAdded {
    /// It is too large, at this offset.
    TooLarge(usize, limits::TooLarge),
    Syntax(Error),
}

impl From<NotAdded> for TemplateError {
    fn from(error: NotAdded) -> Self {
        match error {
            NotAdded::TooLarge(_, error) => Self(error.to_string()),
            NotAdded::Syntax(error) => Self::new(&error),
        }
    }
}

/// Why a template cannot be compiled or rendered. It quotes no values, which may be secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TemplateError(String);

impl TemplateError {
    fn new(error: &Error) -> Self {
        let kind = error.kind().to_string();
        match error.detail() {
            Some(detail) => Self(format!("{kind}: {}", printable::line(detail, 200))),
            None => Self(kind),
        }
    }
}

fn problem_in(file: &str, source: &str, error: &Error) -> Problem {
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
    problem.at(Position { line, ..position_of(start, source) }, source)
}

/// The position of an offset in a text.
fn position_of(offset: usize, text: &str) -> Position {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().map_or(1, |last| last.chars().count().saturating_add(1));
    Position { line, column }
}

/// Why a rendered text does not parse.
#[derive(Debug, thiserror::Error)]
enum FormatError {
    #[error("values are nested {0} deep, more than {MAX_DEPTH}")]
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
        Format::Toml => {
            let depth = deepest_key(text);
            if depth > MAX_DEPTH {
                return Err(FormatError::TooDeep(depth));
            }
            toml::from_str::<toml::Table>(text)
                .map(drop)
                .map_err(|error| FormatError::Syntax(printable::line(error.message(), 200)))
        }
        Format::Yaml => match document::read("", text.as_bytes()).1.first() {
            None => Ok(()),
            Some(problem) => Err(FormatError::Syntax(match problem.at {
                Some(at) => format!("{} at line {} column {}", problem.what, at.line, at.column),
                None => problem.what.clone(),
            })),
        },
    }
}

/// How deep tables are nested in TOML, where a key with dots nests too: brackets, and the most dots of one key or value.
fn deepest_key(text: &str) -> usize {
    let dots = |part: &str| {
        let mut quote = None;
        let mut dots = 0usize;
        for byte in part.bytes() {
            match (quote, byte) {
                (None, b'"' | b'\'') => quote = Some(byte),
                (Some(open), close) if open == close => quote = None,
                (None, b'.') => dots = dots.saturating_add(1),
                _ => {}
            }
        }
        dots
    };
    let parts = text.split(['=', ',', '\n', '[', ']', '{', '}']);
    parts.map(dots).max().unwrap_or(0).max(deepest_bracket(text))
}

/// How deep brackets are nested, counting those in strings too: a cautious estimate is fine.
fn deepest_bracket(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth = depth.saturating_add(1),
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
        let mut problems = Problems::default();
        let templates = Templates::new(&files, &mut problems);
        if let Some(problem) = problems.finish().first() {
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
        let dotted = format!("{}a = 1", "a.".repeat(100_000));
        assert!(render(&dotted, Format::Toml, json!({})).unwrap_err().contains("deep"));
        let quoted = format!("{}a = 1", "\"a\".".repeat(50_000));
        assert!(render(&quoted, Format::Toml, json!({})).unwrap_err().contains("deep"));
        let objects = "{\"a\":".repeat(100_000);
        assert!(
            render(&objects, Format::Json, json!({})).is_err() && render(&objects, Format::Yaml, json!({})).is_err()
        );
    }

    #[test]
    fn a_template_cannot_end_the_process_or_fill_its_memory() {
        let bombs = [
            format!("{{{{ {}1 }}}}", "1+".repeat(9_100)),
            format!("{{{{ a{} }}}}", "|upper".repeat(5_200)),
            format!("{{{{ {}1{} }}}}", "(".repeat(9_000), ")".repeat(9_000)),
            format!("{}x{}", "{% if a %}".repeat(900), "{% endif %}".repeat(900)),
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".into(),
            "{% include \"echo/t.json5.j2\" %}".into(),
            "{% set x = \"xxxxxxxxxxxxxxxx\" %}".to_owned() + &"{% set x = x ~ x %}".repeat(60) + "{{ x }}",
            "{{ \"x\" * 1000000000 }}".into(),
            "{{ [1]|tojson(indent=1000000000) }}".into(),
            "{{ [1]|tojson(1000000000) }}".into(),
            "{{ \"x\"|indent(1000000000, true) }}".into(),
            "{{ \"%1000000000d\"|format(1) }}".into(),
            "{% set ns = namespace(x=[]) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}".into(),
        ];
        for bomb in bombs {
            let error = render(&bomb, Format::Text, json!({"a": "x"}));
            assert!(error.is_err(), "{} renders", &bomb[..bomb.len().min(60)]);
        }
        let nested = "{% set x = [] %}".to_owned() + &"{% set x = [x] %}".repeat(1_900) + "{{ x|length }}";
        assert_eq!(render(&nested, Format::Text, json!({})), Ok("1".into()));
        assert_eq!(render("{{ [1]|tojson(indent=2) }}", Format::Json, json!({})), Ok("[\n  1\n]".into()));
    }

    #[test]
    fn a_template_that_does_not_compile_is_a_problem_with_its_line() {
        let error = render("{\n{% if %}\n}", Format::Json5, json!({})).unwrap_err();
        assert!(error.starts_with("templates/echo/t.json5.j2:2:"), "{error}");
    }
}
