//! Tests of a value.

use std::ops::RangeInclusive;

use crate::value::regex::Regex;
use crate::value::{Address, Case, Network, Number, Order, Pattern};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Test {
    Exists,
    /// One of the texts, as a whole.
    TextIn(Vec<String>, Case),
    /// One of the patterns.
    Like(Vec<Pattern>, Case),
    Regex(Regex),
    /// One of the phrases: words in a row, at least one each.
    Phrase(Vec<Vec<String>>),
    /// A word passes the test.
    AnyWord(Box<Test>),
    /// An address within one of the networks.
    Within(Vec<Network>),
    AddressOrder(Order, Address),
    TextOrder(Order, String),
    NumberIn(Vec<Number>),
    NumberOrder(Order, Number),
    Boolean(bool),
    /// From the first to the last nanosecond since the epoch that a date stands for.
    DateIn(Vec<RangeInclusive<i64>>),
    DateOrder(Order, i64),
}
