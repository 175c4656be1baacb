//! What stands behind the question mark of an address: known names only, each once, each read as what it should be.

use std::{collections::BTreeMap, str::FromStr};

use super::Refusal;

/// The most characters of a text that is looked for, and of a cursor.
pub(super) const LONGEST: usize = 400;

/// The parameters of a question.
#[derive(Debug)]
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads them, or says what is wrong with them.
    pub fn read(query: &str, known: &[&str]) -> Result<Self, Refusal> {
        let mut params = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&&*name) {
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                return Err(Refusal::bad_request(format!("there is no parameter {name:?} here; there is: {known}")));
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
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// One as something that is read from text.
    pub fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Refusal> {
        let read = |text: &String| text.parse().map_err(|_| wrong(name, text, expected));
        self.0.get(name).map(read).transpose()
    }

    /// How many lines are wanted.
    pub fn limit(&self) -> Result<u32, Refusal> {
        match self.parsed("limit", "a number from 1 to 1000")? {
            None => Ok(100),
            Some(limit @ 1..=1000) => Ok(limit),
            Some(limit) => Err(wrong("limit", &limit.to_string(), "a number from 1 to 1000")),
        }
    }

    /// Yes or no.
    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        Ok(self.parsed(name, "true or false")?.unwrap_or(false))
    }
}

pub(super) fn wrong(name: &str, text: &str, expected: &str) -> Refusal {
    Refusal::bad_request(format!("{name}={text:?} is not {expected}"))
}
