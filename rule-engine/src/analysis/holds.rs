//! Tests of a value by their definition: nothing compiled, nothing prepared.
//!
//! Short enough to be read as what each test means. Checks of rules try values with it, and tests compare the compiled
//! form with it.

use crate::condition::Test;
use crate::record::Value;
use crate::value::words::words;
use crate::value::{Address, Number};

/// Whether the value passes the test. The value of an object field's key is a text.
pub(crate) fn passes(test: &Test, value: Value<'_>) -> bool {
    let text = match value {
        Value::Text(text) => Some(text),
        _ => None,
    };
    let number = match value {
        Value::Long(number) => Some(Number::Long(number)),
        Value::Float(number) => Some(Number::Float(number)),
        _ => None,
    };
    let date = match value {
        Value::Date(date) => Some(date),
        _ => None,
    };
    match test {
        Test::Exists => true,
        Test::TextIn(texts, case) => text.is_some_and(|text| texts.iter().any(|wanted| case.same(wanted, text))),
        Test::Like(patterns, case) => {
            text.is_some_and(|text| patterns.iter().any(|pattern| pattern.matches(text, *case)))
        }
        Test::Phrase(phrases) => text.is_some_and(|text| {
            let words: Vec<String> = words(text).collect();
            let stands = |phrase: &Vec<String>| words.windows(phrase.len()).any(|words| words == phrase);
            phrases.iter().any(stands)
        }),
        Test::AnyWord(test) => text.is_some_and(|text| words(text).any(|word| passes(test, Value::Text(&word)))),
        Test::Regex(regex) => text.is_some_and(|text| regex.matches(text)),
        Test::Within(networks) => text
            .and_then(Address::parse)
            .is_some_and(|address| networks.iter().any(|network| network.contains(address))),
        Test::AddressOrder(order, limit) => text
            .and_then(Address::parse)
            .is_some_and(|address| order.holds(address.cmp(limit))),
        Test::TextOrder(order, limit) => text.is_some_and(|text| order.holds(text.cmp(limit))),
        Test::NumberIn(numbers) => number.is_some_and(|number| {
            let mut orderings = numbers.iter().filter_map(|wanted| number.compare(*wanted));
            orderings.any(|ordering| ordering.is_eq())
        }),
        Test::NumberOrder(order, limit) => number
            .and_then(|number| number.compare(*limit))
            .is_some_and(|ordering| order.holds(ordering)),
        Test::Boolean(wanted) => matches!(value, Value::Boolean(truth) if truth == *wanted),
        Test::DateIn(dates) => date.is_some_and(|date| dates.iter().any(|wanted| wanted.contains(&date))),
        Test::DateOrder(order, limit) => date.is_some_and(|date| order.holds(date.cmp(limit))),
    }
}
