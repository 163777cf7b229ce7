//! Patterns with `?`, as a bit-parallel NFA: one bit per position of the pattern.
//!
//! Each character of the text costs one step per word of bits, whatever the text is.

use crate::limits::MAX_PATTERN_BYTES;
use crate::value::hash::LookupMap;
use crate::value::{Case, Pattern, Symbol};

/// Enough bits for every position of the longest pattern, and one after the last.
const MOST_WORDS: usize = MAX_PATTERN_BYTES / 64 + 1;

/// One position per symbol that consumes a character. At a position the pattern expects its symbol; after the last one
/// it has matched.
#[derive(Debug)]
pub(super) struct Wildcards {
    places: usize,
    /// The positions that a run allows to stay at.
    runs: Box<[u64]>,
    /// The positions whose symbol takes any character.
    any: Box<[u64]>,
    /// For each character that some symbol names, the positions whose symbol takes it.
    named: LookupMap<char, Box<[u64]>>,
}

impl Wildcards {
    /// Of the pattern's first [`MAX_PATTERN_BYTES`] symbols; a longer one is refused when a rule is checked.
    pub(super) fn new(pattern: &Pattern, case: Case) -> Wildcards {
        let is_place = |symbol: &&Symbol| **symbol != Symbol::AnyRun;
        let places = pattern.symbols().iter().filter(is_place).count().min(MAX_PATTERN_BYTES);
        let none = || vec![0_u64; places / 64 + 1].into_boxed_slice();
        let (mut runs, mut any, mut named) = (none(), none(), LookupMap::<char, Box<[u64]>>::default());
        let mut place = 0;
        for symbol in pattern.symbols() {
            match symbol {
                Symbol::AnyRun => set(&mut runs, place),
                _ if place == places => break,
                Symbol::AnyCharacter => set(&mut any, place),
                Symbol::Character(character) => {
                    let folded = match case {
                        Case::Sensitive => *character,
                        Case::Insensitive => character.to_ascii_lowercase(),
                    };
                    set(named.entry(folded).or_insert_with(none), place);
                }
            }
            place += usize::from(*symbol != Symbol::AnyRun);
        }
        for taken in named.values_mut() {
            taken.iter_mut().zip(&any).for_each(|(taken, any)| *taken |= any);
        }
        Wildcards {
            places,
            runs,
            any,
            named,
        }
    }

    /// Whether the pattern matches the whole text, which is already folded.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        // Folding ASCII letters keeps UTF-8 valid.
        let Ok(text) = std::str::from_utf8(text) else {
            return false;
        };
        let mut words = [0_u64; MOST_WORDS];
        let state = &mut words[..self.runs.len()];
        state[0] = 1;
        for character in text.chars() {
            #[cfg(test)]
            crate::value::steps::add(state.len());
            let takes = self.named.get(&character).unwrap_or(&self.any);
            let (mut carried, mut alive) = (0, 0);
            for ((word, takes), runs) in state.iter_mut().zip(takes).zip(&self.runs) {
                let advancing = *word & takes;
                *word = (advancing << 1) | carried | (*word & runs);
                carried = advancing >> 63;
                alive |= *word;
            }
            if alive == 0 {
                return false;
            }
        }
        state[self.places / 64] >> (self.places % 64) & 1 == 1
    }
}

fn set(words: &mut [u64], place: usize) {
    words[place / 64] |= 1 << (place % 64);
}
