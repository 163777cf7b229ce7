//! What functions compute with: values, and texts by Elasticsearch's positions.

use std::borrow::Cow;
use std::ops::Range;

use crate::value::Number;

/// The value of an argument or of a call for one event.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Computed<'a> {
    Null,
    Text(Cow<'a, str>),
    Number(Number),
    Boolean(bool),
}

impl Computed<'_> {
    /// How long it is, if it is a text.
    pub(crate) fn text_bytes(&self) -> usize {
        self.as_text().map_or(0, str::len)
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Computed::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_number(&self) -> Option<Number> {
        match self {
            Computed::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl<'a> Computed<'a> {
    pub(super) fn to_text(&self) -> Option<Cow<'a, str>> {
        match self {
            Computed::Null => None,
            Computed::Text(text) => Some(text.clone()),
            Computed::Number(Number::Long(number)) => Some(Cow::Owned(number.to_string())),
            Computed::Number(Number::Float(number)) => Some(Cow::Owned(number.to_string())),
            Computed::Boolean(truth) => Some(Cow::Owned(truth.to_string())),
        }
    }
}

/// Length as Elasticsearch counts it: in UTF-16 units.
pub(super) fn units(text: &str) -> i64 {
    text.encode_utf16().count() as i64
}

/// The byte offset of a position counted in UTF-16 units; within a pair, the one after the character.
pub(super) fn offset(text: &str, position: usize) -> Option<usize> {
    let mut passed = 0;
    for (at, character) in text.char_indices() {
        if passed >= position {
            return Some(at);
        }
        passed += character.len_utf16();
    }
    (passed >= position).then_some(text.len())
}

/// A part of a text; of one of the event's own texts without a copy.
pub(super) fn part<'a>(text: &Computed<'a>, range: Range<usize>) -> Option<Cow<'a, str>> {
    match text {
        Computed::Text(Cow::Borrowed(text)) => Some(Cow::Borrowed(&text[range])),
        Computed::Text(Cow::Owned(text)) => Some(Cow::Owned(text[range].to_owned())),
        _ => None,
    }
}
