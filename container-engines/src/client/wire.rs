//! Protobuf messages, read where they are and written, without declarations of what else is in them.
//!
//! A message is a sequence of numbered fields, and these are looked at one by one. So nothing is allocated for a field
//! that nobody reads, nor for the millionth element of a list: four bytes of such a message can stand for hundreds of an
//! object. What cannot be read costs itself alone.

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Number(u64),
    /// A text, a message or bytes.
    Bytes(&'a [u8]),
}

/// The fields of a message, with their numbers. Ends where the message is damaged.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

pub(crate) fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

/// Whether the message can be read to its end.
pub(crate) fn is_whole(message: &[u8]) -> bool {
    let mut fields = fields(message);
    while fields.next().is_some() {}
    fields.rest.is_empty()
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Content<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.rest;
        let key = varint(&mut rest)?;
        let content = match key & 7 {
            0 => Content::Number(varint(&mut rest)?),
            1 => Content::Bytes(rest.split_off(..8)?),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                Content::Bytes(rest.split_off(..length)?)
            }
            5 => Content::Bytes(rest.split_off(..4)?),
            _ => return None,
        };
        self.rest = rest;
        Some((key >> 3, content))
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// All contents of the field with this number that are bytes.
pub(crate) fn each(message: &[u8], wanted: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).filter_map(move |field| match field {
        (number, Content::Bytes(bytes)) if number == wanted => Some(bytes),
        _ => None,
    })
}

/// The message in the field with this number, empty if there is none.
pub(crate) fn message(message: &[u8], wanted: u64) -> &[u8] {
    each(message, wanted).last().unwrap_or_default()
}

/// The text in the field with this number, empty if there is none.
pub(crate) fn text(within: &[u8], wanted: u64) -> &str {
    std::str::from_utf8(message(within, wanted)).unwrap_or_default()
}

/// The number in the field with this number, 0 if there is none.
pub(crate) fn number(message: &[u8], wanted: u64) -> u64 {
    let numbers = fields(message).filter_map(|field| match field {
        (number, Content::Number(value)) if number == wanted => Some(value),
        _ => None,
    });
    numbers.last().unwrap_or_default()
}

/// The pairs of a map of texts.
pub(crate) fn texts(message: &[u8], wanted: u64) -> impl Iterator<Item = (&str, &str)> {
    each(message, wanted).map(|pair| (text(pair, 1), text(pair, 2)))
}

/// A message to send, whose fields have numbers below 16.
#[derive(Clone, Default)]
pub(crate) struct Request(pub(crate) Vec<u8>);

impl Request {
    pub(crate) fn bytes(mut self, number: u8, bytes: &[u8]) -> Request {
        self.0.push(number << 3 | 2);
        let mut length = bytes.len();
        while length >= 0x80 {
            self.0.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.0.push(length as u8);
        self.0.extend(bytes);
        self
    }

    pub(crate) fn text(self, number: u8, text: &str) -> Request {
        self.bytes(number, text.as_bytes())
    }

    pub(crate) fn flag(mut self, number: u8) -> Request {
        self.0.extend([number << 3, 1]);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;
    use std::collections::HashMap;

    #[derive(Clone, PartialEq, Message)]
    struct Sample {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(map = "string, string", tag = "2")]
        labels: HashMap<String, String>,
        #[prost(int64, tag = "3")]
        at: i64,
        #[prost(string, repeated, tag = "14")]
        list: Vec<String>,
        #[prost(fixed64, tag = "5")]
        other: u64,
        #[prost(float, tag = "600")]
        further: f32,
        #[prost(bool, tag = "7")]
        verbose: bool,
    }

    proptest! {
        #[test]
        fn what_others_write_is_read(
            name in ".{0,200}", labels in prop::collection::hash_map(".{0,9}", ".{0,9}", 0..9), at: i64,
            list in prop::collection::vec(".{0,9}", 0..9), other: u64, further: f32, verbose: bool,
        ) {
            let sample = Sample { name, labels, at, list, other, further, verbose };
            let bytes = sample.encode_to_vec();
            prop_assert!(is_whole(&bytes));
            prop_assert_eq!(text(&bytes, 1), &sample.name);
            prop_assert_eq!(number(&bytes, 3).cast_signed(), at);
            let labels: HashMap<String, String> =
                texts(&bytes, 2).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(labels, sample.labels);
            prop_assert_eq!(each(&bytes, 14).map(<[u8]>::to_vec).collect::<Vec<_>>(),
                sample.list.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>());
        }

        #[test]
        fn others_read_what_is_written(name in ".{0,300}", list in prop::collection::vec(".{0,9}", 0..9)) {
            let written = list.iter().fold(Request::default(), |request, text| request.text(14, text));
            let read = Sample::decode(&*written.text(1, &name).flag(7).0).expect("a message");
            prop_assert_eq!((read.name, read.list, read.verbose), (name, list, true));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            is_whole(&bytes);
            texts(&bytes, 1).count();
            number(&bytes, 2);
        }
    }
}
