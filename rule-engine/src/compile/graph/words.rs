//! Tests and values in words, cut to a readable length.

use crate::condition::Test;
use crate::limits::{MAX_REASON_VALUE_CHARACTERS, MAX_REASON_VALUES};
use crate::record::Value;
use crate::value::{Number, Order, Pattern, timestamp};

/// What a test wants, in words.
pub(super) fn wanted(test: &Test) -> Box<str> {
    let texts = |texts: &[String]| list(texts.iter().map(|text| Value::Text(text)));
    let number = |number: &Number| match number {
        Number::Long(number) => Value::Long(*number),
        Number::Float(number) => Value::Float(*number),
    };
    let order = |order: &Order| match order {
        Order::Less => "<",
        Order::LessOrEqual => "<=",
        Order::Greater => ">",
        Order::GreaterOrEqual => ">=",
    };
    let words = match test {
        Test::Exists => "any value".to_owned(),
        Test::TextIn(wanted, _) => texts(wanted),
        Test::Like(patterns, _) => {
            let patterns: Vec<String> = patterns.iter().map(Pattern::to_string).collect();
            format!("like {}", texts(&patterns))
        }
        Test::Phrase(phrases) => {
            let phrases: Vec<String> = phrases.iter().map(|words| words.join(" ")).collect();
            format!("the words {}", texts(&phrases))
        }
        Test::AnyWord(test) => format!("a word {}", wanted(test)),
        Test::Regex(_) => "what the regular expression describes".to_owned(),
        Test::Within(networks) => format!("an address in {} networks", networks.len()),
        Test::AddressOrder(by, address) => format!("{} `{address}`", order(by)),
        Test::TextOrder(by, text) => format!("{} {}", order(by), show(Value::Text(text))),
        Test::NumberIn(numbers) => list(numbers.iter().map(number)),
        Test::NumberOrder(by, limit) => format!("{} {}", order(by), show(number(limit))),
        Test::Boolean(truth) => truth.to_string(),
        Test::DateIn(dates) => list(dates.iter().map(|date| Value::Date(*date.start()))),
        Test::DateOrder(by, date) => format!("{} {}", order(by), show(Value::Date(*date))),
    };
    words.into()
}

/// The first values, and how many more there are.
pub(super) fn list<'a>(values: impl Iterator<Item = Value<'a>>) -> String {
    let mut values = values.peekable();
    let displayed: Vec<String> = values.by_ref().take(MAX_REASON_VALUES).map(show).collect();
    let left = values.count();
    if left == 0 {
        displayed.join(", ")
    } else {
        format!("{} and {left} more", displayed.join(", "))
    }
}

pub(super) fn show(value: Value<'_>) -> String {
    match value {
        Value::Text(text) | Value::Label { value: text, .. } => {
            match text.char_indices().nth(MAX_REASON_VALUE_CHARACTERS) {
                None => format!("`{text}`"),
                Some((end, _)) => format!("`{}…`", &text[..end]),
            }
        }
        Value::Long(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Date(nanoseconds) => timestamp::format(nanoseconds),
    }
}
