//! The query of a URL.

/// Its fields, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses it; what is not a field is left out.
    pub fn read(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The first field of a name that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, value)| field == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// A URL with the same fields except one, which gets another value or none, and with the first page.
    pub(crate) fn with(&self, path: &str, name: &str, value: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (field, kept) in &self.0 {
            if field != name && !kept.is_empty() && !matches!(field.as_str(), "after" | "requested") {
                query.append_pair(field, kept);
            }
        }
        if let Some(value) = value {
            query.append_pair(name, value);
        }
        let query = query.finish();
        if query.is_empty() { path.into() } else { format!("{path}?{query}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_fields_and_changes_one() {
        let query = Query::read("q=a%26b&phase=Running&after=x&sort=");
        assert_eq!(query.get("q"), Some("a&b"));
        assert_eq!(query.get("sort"), None);
        assert_eq!(query.with("/p", "sort", Some("-age")), "/p?q=a%26b&phase=Running&sort=-age");
        assert_eq!(query.with("/p", "phase", None), "/p?q=a%26b");
        assert_eq!(Query::default().with("/p", "q", None), "/p");
    }
}
