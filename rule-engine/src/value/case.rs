//! Case: where it does not count, texts are folded before they are compared.

use std::borrow::Cow;
use std::cell::RefCell;

use super::words::write_separated;

/// Whether letters of ASCII that differ only in case are the same. Other letters always differ, as in Elasticsearch.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Case {
    Sensitive,
    Insensitive,
}

impl Case {
    /// Insensitive if either is.
    pub(crate) fn or(self, other: Case) -> Case {
        if self == Case::Insensitive { self } else { other }
    }

    /// Whether the texts are the same.
    pub(crate) fn same(self, one: &str, other: &str) -> bool {
        match self {
            Case::Sensitive => one == other,
            Case::Insensitive => one.eq_ignore_ascii_case(other),
        }
    }
}

/// Where a value is folded, or taken apart into words; allocates only for a value longer than all before it.
#[derive(Debug, Default)]
pub(crate) struct FoldBuffer {
    folded: RefCell<Vec<u8>>,
    words: RefCell<Vec<u8>>,
}

impl FoldBuffer {
    /// Gives `use_folded` the text, in lower case where case does not count, and returns what it returns.
    pub(crate) fn folded<T>(&self, text: &str, case: Case, use_folded: impl FnOnce(&[u8]) -> T) -> T {
        #[cfg(test)]
        super::steps::add(text.len());
        if case == Case::Sensitive {
            return use_folded(text.as_bytes());
        }
        let mut buffer = self.folded.borrow_mut();
        buffer.clear();
        buffer.extend_from_slice(text.as_bytes());
        buffer.make_ascii_lowercase();
        use_folded(&buffer)
    }

    /// Gives `use_words` the words of the text, each between zeros, and returns what it returns.
    pub(crate) fn words<T>(&self, text: &str, use_words: impl FnOnce(&[u8]) -> T) -> T {
        #[cfg(test)]
        super::steps::add(text.len());
        let mut buffer = self.words.borrow_mut();
        buffer.clear();
        write_separated(text, &mut buffer);
        use_words(&buffer)
    }
}

/// The text as it is compared, at the same offsets: folding letters of ASCII keeps every one.
pub(crate) fn folded(text: &str, case: Case) -> Cow<'_, str> {
    match case {
        Case::Sensitive => Cow::Borrowed(text),
        Case::Insensitive => Cow::Owned(text.to_ascii_lowercase()),
    }
}

/// The bytes of a text as it is compared: in lower case where case does not count.
pub(crate) fn fold(text: &[u8], case: Case) -> Box<[u8]> {
    match case {
        Case::Sensitive => text.into(),
        Case::Insensitive => text.to_ascii_lowercase().into(),
    }
}
