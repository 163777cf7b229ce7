//! What the index found before: machines run the same programs all day.
//!
//! Nothing here decides anything. What is remembered is what was found for an event that differs in nothing that rules
//! tell apart, so a forgotten entry costs a look-up and changes nothing. Memory is fixed from the start; a newer entry
//! takes the place of an older one.

use super::bits::Bits;
use crate::record::{Record, Value};
use crate::schema::fields;

/// Kinds of events that are told apart.
const MAX_KINDS: usize = 16;
/// The names of a kind are short.
const MAX_KIND_BYTES: usize = 64;
/// The programs that are remembered, by the program that started them.
const PROGRAMS: usize = 2_048;
/// But in no more bytes than this, with very many rules.
const MAX_BYTES: usize = 1 << 20;

/// What is left of the ways for each kind of event.
#[derive(Debug, Default)]
pub(super) struct Kinds(Vec<Kind>);

#[derive(Debug)]
struct Kind {
    name: KindName,
    found: Option<FoundOfKind>,
}

/// What was found for events of a kind.
#[derive(Debug)]
pub(super) struct FoundOfKind {
    pub ways: Bits,
    /// Whether there are any.
    pub any: bool,
    /// The numbers of the fields by which they are told apart further.
    pub key: Box<[u32]>,
}

/// The texts of the fields, one after the other.
#[derive(Clone, Copy, Debug)]
struct KindName {
    bytes: [u8; MAX_KIND_BYTES],
    length: usize,
}

impl KindName {
    fn of(record: &Record) -> Option<KindName> {
        let mut name = KindName {
            bytes: [0; MAX_KIND_BYTES],
            length: 0,
        };
        for field in [fields::EVENT_ACTION, fields::EVENT_TYPE, fields::EVENT_CATEGORY] {
            for value in record.values(field) {
                let Value::Text(text) = value else { return None };
                // A text of a kind that says its length cannot be taken for two.
                name.push(&[u8::try_from(text.len()).ok()?])?;
                name.push(text.as_bytes())?;
            }
            name.push(&[u8::MAX])?;
        }
        Some(name)
    }

    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length + bytes.len();
        self.bytes.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Kinds {
    /// The number of the event's kind; `None` for one that is not told apart.
    pub(super) fn place(&mut self, record: &Record) -> Option<usize> {
        let name = KindName::of(record)?;
        let known = self.0.iter().position(|kind| kind.name.bytes() == name.bytes());
        if known.is_none() && self.0.len() < MAX_KINDS {
            self.0.push(Kind { name, found: None });
            return Some(self.0.len() - 1);
        }
        known
    }

    pub(super) fn recall(&self, place: usize) -> Option<&FoundOfKind> {
        self.0[place].found.as_ref()
    }

    pub(super) fn remember(&mut self, place: usize, found: FoundOfKind) {
        self.0[place].found = Some(found);
    }
}

#[derive(Debug)]
pub(super) struct Memory {
    /// Each key has [`PLACES`] where it may be, of which the first was used last.
    keys: Box<[u128]>,
    /// Where the ways are that are left for each key, as the number of an entry.
    entries: Box<[u16]>,
    words: Box<[u64]>,
}

/// So that programs that are run in turn do not keep each other from being remembered.
const PLACES: usize = 4;

impl Memory {
    /// For ways as many as these.
    pub(super) fn new(ways: &Bits) -> Memory {
        let words = ways.words().len();
        let entry = size_of::<u128>() + size_of::<u16>() + size_of_val(ways.words());
        let fit = (MAX_BYTES / entry).max(PLACES);
        let count = PROGRAMS.min(1 << fit.ilog2());
        Memory {
            keys: vec![0; count].into(),
            entries: (0..count as u16).collect(),
            words: vec![0; count * words].into(),
        }
    }

    pub(super) fn recall(&mut self, key: u128, ways: &mut Bits) -> Option<()> {
        let first = self.first_place(key);
        let place = first
            + self.keys[first..first + PLACES]
                .iter()
                .position(|known| *known == key)?;
        self.move_to_front(first, place);
        let words = ways.words().len();
        ways.copy_from_words(&self.words[usize::from(self.entries[first]) * words..][..words]);
        Some(())
    }

    /// In place of the one of its places that was not used for the longest.
    pub(super) fn remember(&mut self, key: u128, ways: &Bits) {
        let first = self.first_place(key);
        self.move_to_front(first, first + PLACES - 1);
        self.keys[first] = key;
        let words = ways.words().len();
        self.words[usize::from(self.entries[first]) * words..][..words].copy_from_slice(ways.words());
    }

    fn move_to_front(&mut self, first: usize, place: usize) {
        if place > first {
            self.keys[first..=place].rotate_right(1);
            self.entries[first..=place].rotate_right(1);
        }
    }

    /// There is a power of two of entries.
    fn first_place(&self, key: u128) -> usize {
        key as usize & (self.keys.len() - 1) & !(PLACES - 1)
    }
}
