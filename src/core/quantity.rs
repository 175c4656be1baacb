//! Quantities as people write them (`2Gi`, `500m`, `30s`), parsed into exact numbers.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;

/// A text is not a valid quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{:?} is not {expected}", super::printable::line(text, 60))]
pub(crate) struct QuantityError {
    text: String,
    expected: &'static str,
}

/// Memory in bytes, written `512Mi`, `2Gi`, `1.5G` or a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Memory(pub u64);

/// Processor time in billionths of a core, written `2`, `0.5` or `500m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Cpus(pub u64);

/// A length of time in milliseconds, written `500ms`, `30s`, `5m`, `2h` or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Span(pub u64);

const MEMORY_UNITS: [(&str, f64); 9] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("", 1.0),
];
const CPU_UNITS: [(&str, f64); 2] = [("m", 1e6), ("", 1e9)];
const SPAN_UNITS: [(&str, f64); 5] = [("ms", 1.0), ("s", 1e3), ("m", 60e3), ("h", 3600e3), ("", 1e3)];

fn parse_with(units: &[(&str, f64)], text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = units.iter().find(|(name, _)| *name == unit)?.1;
    let value = number.parse::<f64>().ok()? * scale;
    (value.is_finite() && (0.0..=9e15).contains(&value)).then_some(value.round() as u64)
}

impl FromStr for Memory {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let expected = "an amount of memory like 512Mi, 2Gi or a number of bytes";
        parse_with(&MEMORY_UNITS, text).map(Memory).ok_or(QuantityError { text: text.into(), expected })
    }
}

impl FromStr for Cpus {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let expected = "a number of processors like 2, 0.5 or 500m";
        parse_with(&CPU_UNITS, text).map(Cpus).ok_or(QuantityError { text: text.into(), expected })
    }
}

impl FromStr for Span {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let span = Self::written(text)?;
        let expected = "a length of time of at most 100000h, eleven years";
        if span <= LONGEST { Ok(span) } else { Err(QuantityError { text: text.into(), expected }) }
    }
}

/// The longest time that an option of a command can be.
const LONGEST: Span = Span::seconds(100_000 * 3_600);

impl Memory {
    fn written(text: &str) -> Result<Self, QuantityError> {
        text.parse()
    }
}

impl Cpus {
    fn written(text: &str) -> Result<Self, QuantityError> {
        text.parse()
    }
}

impl Span {
    /// A span of whole seconds.
    pub(crate) const fn seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// A span as a manifest or an adapter has it, where each field has bounds of its own.
    fn written(text: &str) -> Result<Self, QuantityError> {
        let expected = "a length of time like 30s, 5m, 2h or a number of seconds";
        parse_with(&SPAN_UNITS, text).map(Span).ok_or(QuantityError { text: text.into(), expected })
    }

    /// The moment this long after another one, or the last one there is.
    pub(crate) fn after(self, moment: OffsetDateTime) -> OffsetDateTime {
        moment.saturating_add(time::Duration::milliseconds(i64::try_from(self.0).unwrap_or(i64::MAX)))
    }

    /// The span as a standard duration.
    pub(crate) const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, scale) in [("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1u64 << 10)] {
            if self.0 >= scale && self.0.is_multiple_of(scale) {
                return write!(f, "{}{unit}", self.0.checked_div(scale).unwrap_or_default());
            }
        }
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 as f64 / 1e9)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if ms % 3_600_000 == 0 && ms > 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 && ms > 0 => write!(f, "{}m", ms / 60_000),
            ms if ms % 1000 == 0 => write!(f, "{}s", ms / 1000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

macro_rules! quantity_serde {
    ($name:ident, $pattern:literal, $maximum:literal, $description:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(untagged)]
                enum Written {
                    Text(String),
                    Number(serde_json::Number),
                }
                let text = match Written::deserialize(deserializer)? {
                    Written::Text(text) => text,
                    Written::Number(number) => number.to_string(),
                };
                Self::written(&text).map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": ["string", "number"],
                    "pattern": $pattern,
                    "minimum": 0,
                    "maximum": $maximum,
                    "description": $description,
                })
            }
        }
    };
}

// The patterns only allow values that fit the number.
quantity_serde!(
    Memory,
    r"^([0-9]{1,15}|[0-9]{1,12}(\.[0-9]{1,6})?(Ki|k)|[0-9]{1,9}(\.[0-9]{1,6})?(Mi|M)|[0-9]{1,6}(\.[0-9]{1,6})?(Gi|G)|[0-9]{1,3}(\.[0-9]{1,6})?(Ti|T))$",
    9_000_000_000_000_000u64,
    "An amount of memory: 512Mi, 2Gi, or a number of bytes."
);
quantity_serde!(Cpus, r"^[0-9]{1,6}(\.[0-9]{1,6})?m?$", 1_000_000, "A number of processors: 2, 0.5 or 500m.");
quantity_serde!(
    Span,
    r"^[0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h)?$",
    1_000_000_000,
    "A length of time: 500ms, 30s, 5m, or seconds."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_parse_as_people_write_them() {
        assert_eq!("2Gi".parse(), Ok(Memory(2 << 30)));
        assert_eq!("1.5Gi".parse(), Ok(Memory(3 << 29)));
        assert_eq!("1000".parse(), Ok(Memory(1000)));
        assert_eq!("500m".parse(), Ok(Cpus(500_000_000)));
        assert_eq!("0.5".parse(), Ok(Cpus(500_000_000)));
        assert_eq!("90s".parse(), Ok(Span(90_000)));
        assert_eq!("5m".parse(), Ok(Span(300_000)));
        assert_eq!("500ms".parse(), Ok(Span(500)));
        assert_eq!("100000h".parse(), Ok(LONGEST));
    }

    #[test]
    fn invalid_quantities_are_refused_with_an_example() {
        for bad in ["", "Gi", "-1", "2 Gi", "2gi", "1e9", "..", "99999999999999999999"] {
            assert!(bad.parse::<Memory>().is_err(), "{bad}");
        }
        assert!("100001h".parse::<Span>().unwrap_err().to_string().ends_with("at most 100000h, eleven years"));
        let error = "lots".parse::<Memory>().unwrap_err().to_string();
        assert_eq!(error, r#""lots" is not an amount of memory like 512Mi, 2Gi or a number of bytes"#);
    }

    #[test]
    fn quantities_print_in_their_largest_unit() {
        assert_eq!(Memory(2 << 30).to_string(), "2Gi");
        assert_eq!(Memory(1000).to_string(), "1000");
        assert_eq!(Cpus(1_500_000_000).to_string(), "1.5");
        assert_eq!(Span(90_000).to_string(), "90s");
        assert_eq!(Span(0).to_string(), "0s");
    }

    #[test]
    fn the_moment_after_the_longest_time_is_the_last_one_there_is() {
        let moment = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(Span::seconds(2).after(moment), moment + time::Duration::seconds(2));
        assert!(Span(u64::MAX).after(moment) > moment && Span::seconds(u64::MAX) == Span(u64::MAX));
    }
}
