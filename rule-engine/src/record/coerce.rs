//! What a value of a document is in a field of a type: as an index of Elasticsearch would take it.
//!
//! A number may be written as text and with a fraction, which a whole number loses; a date may be milliseconds since
//! 1970. An empty text is no number, and false.

use std::fmt;

use serde_json::Number;

use super::Value;
use crate::schema::FieldType;
use crate::value::{Address, timestamp};

/// A value of a document that is neither an object, a list nor null.
pub(super) enum Scalar<'a> {
    Text(&'a str),
    Number(Number),
    Boolean(bool),
}

/// As JSON writes it, a text without its quotes.
impl fmt::Display for Scalar<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Text(text) => formatter.write_str(text),
            Scalar::Number(number) => number.fmt(formatter),
            Scalar::Boolean(truth) => truth.fmt(formatter),
        }
    }
}

/// What a value becomes.
pub(super) enum Coerced<'a> {
    Value(Value<'a>),
    /// As if it were not there.
    Nothing,
    Unfit,
}

impl<'a> Coerced<'a> {
    fn or_unfit(value: Option<Value<'a>>) -> Self {
        value.map_or(Coerced::Unfit, Coerced::Value)
    }

    /// `text` is where the value is written if the field holds texts and it is none.
    pub(super) fn new(field_type: FieldType, scalar: &Scalar<'a>, text: &'a mut String) -> Self {
        match (field_type, scalar) {
            (FieldType::Keyword | FieldType::Text, Scalar::Text(text)) => Coerced::Value(Value::Text(text)),
            (FieldType::Ip, Scalar::Text(spelling)) => match Address::parse(spelling) {
                Some(address) => {
                    *text = address.to_string();
                    Coerced::Value(Value::Text(text))
                }
                None => Coerced::Unfit,
            },
            (FieldType::Keyword | FieldType::Text, other) => {
                *text = other.to_string();
                Coerced::Value(Value::Text(text))
            }
            (FieldType::Long | FieldType::Float, Scalar::Text("")) => Coerced::Nothing,
            (FieldType::Long, Scalar::Number(number)) => {
                let whole = number.as_i64().or_else(|| truncated(number.as_f64()?));
                Coerced::or_unfit(whole.map(Value::Long))
            }
            (FieldType::Long, Scalar::Text(text)) => Coerced::or_unfit(whole(text).map(Value::Long)),
            (FieldType::Float, Scalar::Number(number)) => Coerced::or_unfit(number.as_f64().map(Value::Float)),
            (FieldType::Float, Scalar::Text(text)) => Coerced::or_unfit(decimal(text).map(Value::Float)),
            (FieldType::Boolean, Scalar::Boolean(truth)) => Coerced::Value(Value::Boolean(*truth)),
            (FieldType::Boolean, Scalar::Text("true")) => Coerced::Value(Value::Boolean(true)),
            (FieldType::Boolean, Scalar::Text("false" | "")) => Coerced::Value(Value::Boolean(false)),
            (FieldType::Date, Scalar::Text(text)) => {
                let date = timestamp::parse_any(text).or_else(|| since_1970(decimal(text)?));
                Coerced::or_unfit(date.map(Value::Date))
            }
            (FieldType::Date, Scalar::Number(number)) => {
                let date = match number.as_i64() {
                    Some(milliseconds) => milliseconds.checked_mul(1_000_000),
                    None => number.as_f64().and_then(since_1970),
                };
                Coerced::or_unfit(date.map(Value::Date))
            }
            _ => Coerced::Unfit,
        }
    }
}

/// A whole number as text; what stands behind its point is left out, without loss of digits before it.
fn whole(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) && whole.len() > 1 => {
            whole.parse().ok()
        }
        _ => truncated(decimal(text)?),
    }
}

/// A number in digits, not one of the words that stand for numbers.
fn decimal(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let is_written_out = text.ends_with(|last: char| last.is_ascii_digit() || last == '.');
    (is_written_out && number.is_finite()).then_some(number)
}

fn truncated(number: f64) -> Option<i64> {
    // The first number past those of 64 bits.
    const END: f64 = 9_223_372_036_854_775_808.0;
    (-END..END).contains(&number).then_some(number as i64)
}

/// Nanoseconds since 1970, of milliseconds.
fn since_1970(milliseconds: f64) -> Option<i64> {
    let nanoseconds = (milliseconds.fract() * 1e6).round() as i64;
    truncated(milliseconds)?
        .checked_mul(1_000_000)?
        .checked_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    /// What the field of the type then holds; `None` if nothing, `Err` if the value does not fit.
    fn coerced(field_type: FieldType, json: &Json) -> Result<Option<String>, ()> {
        let scalar = match json {
            Json::String(text) => Scalar::Text(text),
            Json::Number(number) => Scalar::Number(number.clone()),
            Json::Bool(truth) => Scalar::Boolean(*truth),
            other => panic!("no scalar: {other}"),
        };
        match Coerced::new(field_type, &scalar, &mut String::new()) {
            Coerced::Value(Value::Text(text)) => Ok(Some(text.to_owned())),
            Coerced::Value(Value::Long(number)) => Ok(Some(number.to_string())),
            Coerced::Value(Value::Float(number)) => Ok(Some(number.to_string())),
            Coerced::Value(Value::Boolean(truth)) => Ok(Some(truth.to_string())),
            Coerced::Value(Value::Date(nanoseconds)) => Ok(Some(timestamp::format(nanoseconds))),
            Coerced::Value(Value::Label { .. }) => panic!("no label"),
            Coerced::Nothing => Ok(None),
            Coerced::Unfit => Err(()),
        }
    }

    #[test]
    fn a_value_is_what_an_index_makes_of_it() {
        use FieldType::{Boolean, Date, Float, Ip, Keyword, Long};
        for (field_type, json, expected) in [
            (Long, "4", "4"),
            (Long, "4.0", "4"),
            (Long, "-4.9", "-4"),
            (Long, "1.048576e+06", "1048576"),
            (Long, "1e3", "1000"),
            (Long, r#""4""#, "4"),
            (Long, r#""4.0""#, "4"),
            (Long, r#""4.""#, "4"),
            (Long, r#"".5""#, "0"),
            (Long, r#""-0.5""#, "0"),
            (Long, r#""1.048576e+06""#, "1048576"),
            (Long, r#""1048576E0""#, "1048576"),
            (Long, r#""9223372036854775807.0""#, "9223372036854775807"),
            (Long, "-9223372036854775808", "-9223372036854775808"),
            (Float, "4", "4"),
            (Float, r#""4.5""#, "4.5"),
            (Float, r#""1e3""#, "1000"),
            (Boolean, "true", "true"),
            (Boolean, r#""true""#, "true"),
            (Boolean, r#""false""#, "false"),
            (Boolean, r#""""#, "false"),
            (Date, "1769855405250", "2026-01-31T10:30:05.250Z"),
            (Date, "1.76985540525e+12", "2026-01-31T10:30:05.250Z"),
            (Date, "1769855405250.5", "2026-01-31T10:30:05.250500000Z"),
            (Date, r#""1769855405250""#, "2026-01-31T10:30:05.250Z"),
            (Date, r#""1769855405250.5""#, "2026-01-31T10:30:05.250500000Z"),
            (Date, r#""1.76985540525e+12""#, "2026-01-31T10:30:05.250Z"),
            (Date, "-1000", "1969-12-31T23:59:59.000Z"),
            (Date, r#""-1000""#, "1969-12-31T23:59:59.000Z"),
            (Date, r#""0""#, "1970-01-01T00:00:00.000Z"),
            (Date, r#""2026""#, "2026-01-01T00:00:00.000Z"),
            (Date, r#""2026-01-31T10:30Z""#, "2026-01-31T10:30:00.000Z"),
            (Date, r#""2026-01-31T10:30:05.25+0200""#, "2026-01-31T08:30:05.250Z"),
            (Date, r#""2026-01-31T10:30:05,25Z""#, "2026-01-31T10:30:05.250Z"),
            (Keyword, "4", "4"),
            (Keyword, "true", "true"),
            (Keyword, r#""""#, ""),
            (Ip, r#""::1""#, "::1"),
            (Ip, r#""::FFFF:10.0.0.1""#, "10.0.0.1"),
        ] {
            let json: Json = serde_json::from_str(json).expect("JSON");
            assert_eq!(coerced(field_type, &json), Ok(Some(expected.to_owned())), "{json}");
        }
        for field_type in [Long, Float] {
            assert_eq!(coerced(field_type, &json!("")), Ok(None));
        }
        for (field_type, json) in [
            (Long, json!("many")),
            (Long, json!("4 ")),
            (Long, json!("4.x")),
            (Long, json!("0x10")),
            (Long, json!(".")),
            (Long, json!(true)),
            (Long, json!(u64::MAX)),
            (Long, json!("9223372036854775808")),
            (Long, json!("9223372036854775808.0")),
            (Long, json!(1e30)),
            (Long, json!("inf")),
            (Float, json!("NaN")),
            (Float, json!("1e999")),
            (Float, json!(false)),
            (Boolean, json!("yes")),
            (Boolean, json!(1)),
            (Date, json!("soon")),
            (Date, json!("")),
            (Date, json!(true)),
            (Date, json!("inf")),
            (Date, json!(1e30)),
            (Date, json!(i64::MAX)),
            (Ip, json!(1)),
            (Ip, json!("10.0.0")),
            (FieldType::Object, json!("a")),
        ] {
            assert_eq!(coerced(field_type, &json), Err(()), "{json}");
        }
    }
}
