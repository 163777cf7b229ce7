//! Case: where it does not count, texts are folded before they are compared.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

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

/// The longest texts of an event, in bytes, that are folded all at once.
const MAX_FOLDED_AT_ONCE: usize = 64 << 10;

/// Where values are folded, those of an event all at once, once they are asked for often, any other text by itself; or
/// taken apart into words. Allocates only for more than there was before.
#[derive(Debug, Default)]
pub(crate) struct FoldBuffer {
    /// Where the texts are that are folded, by address.
    texts: Cell<usize>,
    folded_texts: RefCell<Vec<u8>>,
    other: RefCell<Vec<u8>>,
    words: RefCell<Vec<u8>>,
}

impl FoldBuffer {
    /// Forgets the texts of the event before: where they were, there may be others now.
    pub(crate) fn forget(&self) {
        self.folded_texts.borrow_mut().clear();
    }

    /// Folds all texts of an event, which are parts of this one and stay where they are until [`FoldBuffer::forget`].
    pub(crate) fn fold_all(&self, texts: &str) {
        if texts.len() <= MAX_FOLDED_AT_ONCE {
            self.texts.set(texts.as_ptr() as usize);
            fold_into(&mut self.folded_texts.borrow_mut(), texts);
        }
    }

    /// Gives `use_folded` the text, in lower case where case does not count, and returns what it returns.
    pub(crate) fn folded<T>(&self, text: &str, case: Case, use_folded: impl FnOnce(&[u8]) -> T) -> T {
        #[cfg(test)]
        super::steps::add(text.len());
        if case == Case::Sensitive {
            return use_folded(text.as_bytes());
        }
        let start = (text.as_ptr() as usize).wrapping_sub(self.texts.get());
        let texts = self.folded_texts.borrow();
        if let Some(folded) = texts.get(start..start.wrapping_add(text.len())) {
            return use_folded(folded);
        }
        let mut buffer = self.other.borrow_mut();
        fold_into(&mut buffer, text);
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

fn fold_into(buffer: &mut Vec<u8>, text: &str) {
    buffer.clear();
    buffer.extend_from_slice(text.as_bytes());
    buffer.make_ascii_lowercase();
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
