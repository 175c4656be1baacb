//! Hides secrets in config that is shown. Secrets belong under `secrets`, which holds references only; somebody may
//! still have put one among an agent's settings. What is named like a secret, or declared as one by the adapter's schema, is hidden.

use serde_json::{Map, Value};

/// What is shown in place of a hidden value.
pub(crate) const HIDDEN: &str = "[hidden]";

/// Parts of names, in lower case and without separators, whose values are hidden.
const SECRET_NAMES: [&str; 7] = ["password", "passwd", "passphrase", "secret", "token", "apikey", "privatekey"];

/// The settings with secrets hidden: strings under such a name, and whatever `schema` marks `writeOnly` or
/// as a password.
pub(crate) fn conceal(config: &Map<String, Value>, schema: &Value) -> Map<String, Value> {
    config.iter().map(|(name, value)| (name.clone(), conceal_one(name, value, &schema["properties"][name]))).collect()
}

/// Whether the name of a setting or variable is that of a secret.
pub(crate) fn is_named_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    SECRET_NAMES.iter().any(|secret| plain.contains(secret))
}

fn conceal_one(name: &str, value: &Value, schema: &Value) -> Value {
    let is_declared = schema["writeOnly"] == true || schema["format"] == "password";
    match value {
        Value::Null | Value::Bool(_) if !is_declared => value.clone(),
        _ if is_declared => HIDDEN.into(),
        Value::String(_) if is_named_secret(name) => HIDDEN.into(),
        Value::Array(items) => items.iter().map(|item| conceal_one(name, item, &schema["items"])).collect(),
        Value::Object(entries) => conceal(entries, schema).into(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(config: &Value, schema: &Value) -> Value {
        conceal(config.as_object().unwrap(), schema).into()
    }

    #[test]
    fn what_is_named_or_declared_as_a_secret_is_hidden_however_deep() {
        let config = json!({"greeting": "hi", "api_key": "k", "server": {"Api-Key": "x", "port": 1}, "pin": 7,
            "tokens": ["a", "b"], "maxTokens": 100, "useToken": true});
        let schema = json!({"properties": {"pin": {"writeOnly": true}}});
        let expected = json!({"greeting": "hi", "api_key": HIDDEN, "server": {"Api-Key": HIDDEN, "port": 1}, "pin": HIDDEN,
            "tokens": [HIDDEN, HIDDEN], "maxTokens": 100, "useToken": true});
        assert_eq!(shown(&config, &schema), expected);
    }
}
