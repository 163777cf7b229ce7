//! What the index found before: machines run the same programs all day.
//!
//! Nothing here decides anything. What is remembered is what the index found for an event with the same values, so a
//! forgotten entry costs a look-up and changes nothing. Memory is fixed from the start; a newer entry takes the place of
//! an older one.

use super::found::Found;
use super::rule_bits::RuleBits;
use crate::record::{Record, Value};
use crate::schema::{FieldId, fields};
use crate::value::hash::Digest;

/// Kinds of events that are told apart.
const MAX_KINDS: usize = 16;
/// The names of a kind are short.
const MAX_KIND_BYTES: usize = 64;
/// The programs that are remembered, by the program that started them.
const PROGRAMS: usize = 2_048;
/// But in no more bytes than this, with very many rules.
const MAX_BYTES: usize = 1 << 20;
/// A program has few names.
const MAX_VALUES: usize = 8;

/// What is left of the rules for each kind of event.
#[derive(Debug, Default)]
pub(super) struct Kinds(Vec<Kind>);

#[derive(Debug)]
struct Kind {
    name: KindName,
    found: Option<(RuleBits, RuleBits)>,
}

/// The texts of the fields, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
}

impl Kinds {
    /// The number of the event's kind; `None` for one that is not told apart.
    pub(super) fn place(&mut self, record: &Record) -> Option<usize> {
        let name = KindName::of(record)?;
        let known = self.0.iter().position(|kind| kind.name == name);
        if known.is_none() && self.0.len() < MAX_KINDS {
            self.0.push(Kind { name, found: None });
            return Some(self.0.len() - 1);
        }
        known
    }

    pub(super) fn recall(&self, place: usize, found: &mut Found) -> Option<()> {
        let (rules, met) = self.0[place].found.as_ref()?;
        found.rules.copy_from(rules);
        found.met.copy_from(met);
        Some(())
    }

    pub(super) fn remember(&mut self, place: usize, found: &Found) {
        self.0[place].found = Some((found.rules.clone(), found.met.clone()));
    }
}

/// What the index reads of a field that is remembered.
#[derive(Debug)]
pub(super) struct Remembered {
    pub field: FieldId,
    /// Only whether there is a value.
    pub only_presence: bool,
}

/// Of an event that differs in nothing that is remembered; `None` if it is not worth remembering.
pub(super) fn key(record: &Record, kind: usize, remembered: &[Remembered]) -> Option<u128> {
    let mut digest = Digest::default();
    digest.add_number(kind as u64);
    // Of most fields an event has no value. Each value goes with the number of its field, so that none is another's.
    for (Remembered { field, only_presence }, number) in remembered.iter().zip(0..) {
        let mut values = record.tested_values(*field);
        if *only_presence {
            if values.next().is_some() {
                digest.add_number(number);
            }
            continue;
        }
        for (value, position) in values.zip(1..) {
            if position > MAX_VALUES {
                return None;
            }
            digest.add_number(number);
            match value {
                Value::Text(text) => digest.add_text(text),
                Value::Boolean(truth) => digest.add_number(u64::from(truth)),
                _ => return None,
            }
        }
    }
    Some(digest.finish())
}

#[derive(Debug)]
pub(super) struct Memory {
    keys: Box<[u128]>,
    /// For each key the rules that are left, and those that are met.
    words: Box<[u64]>,
}

impl Memory {
    /// For rules as many as these.
    pub(super) fn new(rules: &RuleBits) -> Memory {
        let words = 2 * rules.words().len();
        let entry = size_of::<u128>() + words * size_of::<u64>();
        let fit = (MAX_BYTES / entry).max(1);
        let entries = PROGRAMS.min(1 << fit.ilog2());
        Memory {
            keys: vec![0; entries].into(),
            words: vec![0; entries * words].into(),
        }
    }

    pub(super) fn recall(&self, key: u128, found: &mut Found) -> Option<()> {
        let place = self.place(key);
        if self.keys[place] != key {
            return None;
        }
        let words = found.rules.words().len();
        let entry = &self.words[place * 2 * words..][..2 * words];
        found.rules.copy_from_words(&entry[..words]);
        found.met.copy_from_words(&entry[words..]);
        Some(())
    }

    pub(super) fn remember(&mut self, key: u128, found: &Found) {
        let place = self.place(key);
        self.keys[place] = key;
        let words = found.rules.words().len();
        let entry = &mut self.words[place * 2 * words..][..2 * words];
        entry[..words].copy_from_slice(found.rules.words());
        entry[words..].copy_from_slice(found.met.words());
    }

    /// There is a power of two of entries.
    fn place(&self, key: u128) -> usize {
        key as usize & (self.keys.len() - 1)
    }
}
