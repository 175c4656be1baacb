//! Query parameters: known names only, each once, each parsed to its type.

use std::{collections::BTreeMap, str::FromStr};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::Refusal;

/// The most characters of a search text, and of a cursor.
pub(super) const LONGEST: usize = 400;

/// The query parameters of a request.
#[derive(Debug)]
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    /// Parses them, or says what is wrong with them.
    pub fn read(query: &str, known: &[&str]) -> Result<Self, Refusal> {
        let mut params = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&&*name) {
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                return Err(Refusal::bad_request(format!("unknown parameter {name:?}; known are: {known}")));
            }
            if value.chars().count() > LONGEST {
                return Err(Refusal::bad_request(format!("{name} is longer than {LONGEST} characters")));
            }
            if params.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(Refusal::bad_request(format!("{name} is given twice")));
            }
        }
        Ok(Self(params))
    }

    /// One as text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// One parsed from text.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Refusal> {
        let read = |text: &String| text.parse().map_err(|_| wrong(name, text, expected));
        self.0.get(name).map(read).transpose()
    }

    /// The page size.
    pub(crate) fn limit(&self) -> Result<u32, Refusal> {
        match self.parsed("limit", "a number from 1 to 1000")? {
            None => Ok(100),
            Some(limit @ 1..=1000) => Ok(limit),
            Some(limit) => Err(wrong("limit", &limit.to_string(), "a number from 1 to 1000")),
        }
    }

    /// A time.
    pub(crate) fn time(&self, name: &str) -> Result<Option<OffsetDateTime>, Refusal> {
        let read = |text: &String| {
            OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wrong(name, text, "a time like 2026-11-24T12:00:00Z"))
        };
        self.0.get(name).map(read).transpose()
    }

    /// A boolean.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        Ok(self.parsed(name, "true or false")?.unwrap_or(false))
    }
}

pub(super) fn wrong(name: &str, text: &str, expected: &str) -> Refusal {
    Refusal::bad_request(format!("{name}={text:?} is not {expected}"))
}
