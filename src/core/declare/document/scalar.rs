//! What a YAML value that stands without quotes is: empty, true or false, a number, or a text. YAML 1.2's core schema, minus
//! what people trip over: `no` and `012` are texts, and a number that no program keeps exactly is a fault.

use serde_json::{Number, Value};

/// The largest whole number that every program keeps exactly: JavaScript's numbers are floating-point.
const LARGEST_EXACT: u64 = 9_007_199_254_740_991;

/// A number that cannot be kept as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberFault {
    /// It is too large.
    TooLarge,
    /// It is infinite, or not a number.
    NotFinite,
}

/// The value of a text without quotes.
pub(super) fn plain(text: &str) -> Result<Value, NumberFault> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(true.into()),
        "false" | "False" | "FALSE" => return Ok(false.into()),
        _ => {}
    }
    let (is_negative, unsigned) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(NumberFault::NotFinite);
    }
    let radix = |prefix: &str| text.strip_prefix(prefix).filter(|digits| !digits.is_empty());
    if let Some(digits) = radix("0x").filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())) {
        return whole(false, u64::from_str_radix(digits, 16).ok());
    }
    if let Some(digits) = radix("0o").filter(|digits| digits.bytes().all(|b| matches!(b, b'0'..=b'7'))) {
        return whole(false, u64::from_str_radix(digits, 8).ok());
    }
    match shape(unsigned) {
        Some(Shape::Whole) => whole(is_negative, unsigned.parse().ok()),
        Some(Shape::Fraction) => match text.parse::<f64>().ok().filter(|number| number.is_finite()) {
            Some(number) => Ok(Number::from_f64(number).map_or_else(|| text.into(), Value::Number)),
            None => Err(NumberFault::TooLarge),
        },
        None => Ok(text.into()),
    }
}

fn whole(is_negative: bool, number: Option<u64>) -> Result<Value, NumberFault> {
    let number = number.filter(|number| *number <= LARGEST_EXACT).ok_or(NumberFault::TooLarge)?;
    Ok(match i64::try_from(number) {
        Ok(number) if is_negative => number.saturating_neg().into(),
        _ => number.into(),
    })
}

enum Shape {
    Whole,
    Fraction,
}

/// Whether a text without its sign is written as a number.
fn shape(text: &str) -> Option<Shape> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (before, rest) = text.split_at(digits(text));
    // With a leading zero it is more likely an ID than a number.
    if before.len() > 1 && before.starts_with('0') {
        return None;
    }
    if rest.is_empty() {
        return (!before.is_empty()).then_some(Shape::Whole);
    }
    let (after, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if before.is_empty() && after.is_empty() {
        return None;
    }
    let is_exponent = |rest: &str| {
        let exponent = rest.strip_prefix(['e', 'E']).unwrap_or_default();
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent) == exponent.len()
    };
    (rest.is_empty() || is_exponent(rest)).then_some(Shape::Fraction)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_what_yaml_1_2_says_and_what_only_looks_like_one_is_a_text() {
        for (text, value) in [
            ("7", json!(7)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("0", json!(0)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("1.10", json!(1.1)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("1e3", json!(1000.0)),
            ("-1.5E-3", json!(-0.0015)),
            ("9007199254740991", json!(9_007_199_254_740_991_u64)),
            ("", json!(null)),
            ("True", json!(true)),
        ] {
            assert_eq!(plain(text), Ok(value), "{text}");
        }
        for text in
            ["012", "-012", "1_000", "no", "on", ".", "-", "+", "e3", "1e", "1.2.3", "0x", "0xg", "1 2", "½", "--1"]
        {
            assert_eq!(plain(text), Ok(text.into()), "{text}");
        }
    }

    #[test]
    fn a_number_that_would_change_is_a_fault() {
        for text in ["9007199254740992", "18446744073709551616", "-9007199254740993", "1e400", "0xffffffffffffffff"] {
            assert_eq!(plain(text), Err(NumberFault::TooLarge), "{text}");
        }
        assert_eq!(plain(&"9".repeat(500_000)), Err(NumberFault::TooLarge));
        for text in [".inf", "-.inf", ".NaN"] {
            assert_eq!(plain(text), Err(NumberFault::NotFinite), "{text}");
        }
    }
}
