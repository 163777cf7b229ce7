//! Many texts in one allocation: a process chooses how many arguments it has, so none of them may cost more than its
//! bytes.

use std::borrow::Cow;

use crate::decode::text;

/// Texts, in order. None of them contains a zero byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// Each text with a zero byte after it.
    joined: Box<str>,
    count: u32,
}

impl Texts {
    /// Texts from bytes that a process chose: each is ended by a zero byte, except perhaps the last. What is not UTF-8
    /// becomes U+FFFD.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let mut joined = text(bytes);
        if !joined.is_empty() && !joined.ends_with('\0') {
            joined.push('\0');
        }
        Self::from_joined(joined)
    }

    /// These texts; a zero byte in one would split it.
    pub(crate) fn from_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut joined = String::new();
        for text in texts {
            joined.push_str(text);
            joined.push('\0');
        }
        Self::from_joined(joined)
    }

    fn from_joined(joined: String) -> Self {
        let count = memchr::memchr_iter(0, joined.as_bytes()).count();
        Texts {
            joined: joined.into_boxed_str(),
            count: count as u32,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.joined.split_terminator('\0')
    }

    /// The first ones of them.
    pub fn first(&self, count: usize) -> Cow<'_, Self> {
        match count < self.len() {
            true => Cow::Owned(Self::from_texts(self.iter().take(count))),
            false => Cow::Borrowed(self),
        }
    }

    /// All of them with a space between each two.
    pub fn with_spaces(&self) -> String {
        let mut bytes = self.joined.strip_suffix('\0').unwrap_or_default().as_bytes().to_vec();
        for byte in bytes.iter_mut().filter(|byte| **byte == 0) {
            *byte = b' ';
        }
        // It is still UTF-8.
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// All of them, each with a zero byte after it.
    pub(crate) fn joined(&self) -> &str {
        &self.joined
    }

    /// Bytes of all texts and of what ends each.
    pub(crate) fn byte_length(&self) -> usize {
        self.joined.len()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.joined.as_bytes()
    }

    /// As many of the first texts as have at most so many bytes.
    pub(crate) fn first_fitting(&self, bytes: usize) -> usize {
        fitting(self.iter(), bytes)
    }

    /// As many of the last texts as have at most so many bytes.
    pub(super) fn last_fitting(&self, bytes: usize) -> usize {
        fitting(self.iter().rev(), bytes)
    }
}

fn fitting<'a>(texts: impl Iterator<Item = &'a str>, at_most: usize) -> usize {
    let mut bytes = 0;
    let is_fitting = |text: &&str| {
        bytes += text.len() + 1;
        bytes <= at_most
    };
    texts.take_while(is_fitting).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(texts: &Texts) -> Vec<&str> {
        texts.iter().collect()
    }

    #[test]
    fn texts_are_split_at_zero_bytes_and_empty_ones_are_kept() {
        let split = |bytes| list(&Texts::from_bytes(bytes)).join("|");
        assert_eq!(Texts::from_bytes(b"").len(), 0);
        assert_eq!(list(&Texts::from_bytes(b"\0")), [""]);
        assert_eq!(split(b"a\0\0b\0"), "a||b");
        assert_eq!(split(b"a\0cut"), "a|cut");
    }

    proptest! {
        #[test]
        fn texts_come_back_as_each_of_them_alone_would(
            texts in prop::collection::vec(prop::collection::vec(1..=255_u8, 0..6), 0..20),
        ) {
            let texts: Vec<Vec<u8>> = texts;
            let joined: Vec<u8> = texts.iter().flat_map(|text| [text, b"\0".as_slice()].concat()).collect();
            let expected: Vec<String> = texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
            let found = Texts::from_bytes(&joined);
            prop_assert_eq!(found.len(), expected.len());
            prop_assert_eq!(list(&found), expected.clone());
            prop_assert_eq!(found.with_spaces(), expected.join(" "));
            prop_assert_eq!(&Texts::from_texts(found.iter()), &found);
        }
    }
}
