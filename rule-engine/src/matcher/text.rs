//! Sets of texts and wildcard patterns, each in the cheapest form that decides the same.

use std::cmp::Ordering;

use memchr::{memchr2_iter, memmem};

use crate::condition::{Pattern, Symbol};
use crate::field_reference::Case;

/// Texts of which one has to be equal as a whole. Sorted, and in lower case where case does not count.
#[derive(Debug)]
pub(super) struct TextSet {
    texts: Box<[Box<str>]>,
    case: Case,
}

impl TextSet {
    pub fn new(texts: &[String], case: Case) -> TextSet {
        let mut texts: Vec<Box<str>> = texts.iter().map(|text| fold(text, case)).collect();
        texts.sort_unstable();
        texts.dedup();
        TextSet {
            texts: texts.into(),
            case,
        }
    }

    pub fn contains(&self, text: &str) -> bool {
        match self.case {
            Case::Sensitive => self.texts.binary_search_by(|wanted| (**wanted).cmp(text)).is_ok(),
            Case::Insensitive => self
                .texts
                .binary_search_by(|wanted| compare_lowered(wanted, text))
                .is_ok(),
        }
    }

    /// The only text, if there is but one.
    pub fn single(&self) -> Option<(Box<str>, Case)> {
        match &*self.texts {
            [text] => Some((text.clone(), self.case)),
            _ => None,
        }
    }
}

/// A wildcard pattern over a whole text. Texts are in lower case where case does not count.
#[derive(Debug)]
pub(crate) enum Wildcard {
    Anything,
    StartsWith(Box<str>, Case),
    EndsWith(Box<str>, Case),
    Contains(Box<str>, Case),
    Symbols(Box<[Symbol]>, Case),
}

impl Wildcard {
    /// The text that a pattern without wildcards stands for.
    pub fn exact_text(pattern: &Pattern) -> Option<String> {
        pattern
            .symbols()
            .iter()
            .map(|symbol| match symbol {
                Symbol::Character(character) => Some(*character),
                Symbol::AnyCharacter | Symbol::AnyRun => None,
            })
            .collect()
    }

    pub fn compile(pattern: &Pattern, case: Case) -> Wildcard {
        let literal = |symbols: &[Symbol]| {
            Wildcard::exact_text(&Pattern::new(symbols.iter().copied())).map(|text| fold(&text, case))
        };
        let compiled = match pattern.symbols() {
            [Symbol::AnyRun] => Some(Wildcard::Anything),
            [Symbol::AnyRun, middle @ .., Symbol::AnyRun] => literal(middle).map(|text| Wildcard::Contains(text, case)),
            [Symbol::AnyRun, end @ ..] => literal(end).map(|text| Wildcard::EndsWith(text, case)),
            [start @ .., Symbol::AnyRun] => literal(start).map(|text| Wildcard::StartsWith(text, case)),
            _ => None,
        };
        compiled.unwrap_or_else(|| {
            let folded = pattern.symbols().iter().map(|symbol| match (symbol, case) {
                (Symbol::Character(character), Case::Insensitive) => Symbol::Character(character.to_ascii_lowercase()),
                (symbol, _) => *symbol,
            });
            Wildcard::Symbols(folded.collect(), case)
        })
    }

    pub fn matches(&self, text: &str) -> bool {
        match self {
            Wildcard::Anything => true,
            Wildcard::StartsWith(start, case) => text
                .as_bytes()
                .get(..start.len())
                .is_some_and(|head| equal(start.as_bytes(), head, *case)),
            Wildcard::EndsWith(end, case) => {
                let tail = text
                    .len()
                    .checked_sub(end.len())
                    .and_then(|from| text.as_bytes().get(from..));
                tail.is_some_and(|tail| equal(end.as_bytes(), tail, *case))
            }
            Wildcard::Contains(part, Case::Sensitive) => memmem::find(text.as_bytes(), part.as_bytes()).is_some(),
            Wildcard::Contains(part, Case::Insensitive) => contains_lowered(part.as_bytes(), text.as_bytes()),
            Wildcard::Symbols(symbols, case) => matches_symbols(symbols, text, *case),
        }
    }
}

fn fold(text: &str, case: Case) -> Box<str> {
    match case {
        Case::Sensitive => text.into(),
        Case::Insensitive => text.to_ascii_lowercase().into(),
    }
}

/// Compares a text in lower case with any text, ASCII letters without regard to case.
fn compare_lowered(lowered: &str, text: &str) -> Ordering {
    lowered.bytes().cmp(text.bytes().map(|byte| byte.to_ascii_lowercase()))
}

fn equal(folded: &[u8], bytes: &[u8], case: Case) -> bool {
    match case {
        Case::Sensitive => folded == bytes,
        Case::Insensitive => folded.eq_ignore_ascii_case(bytes),
    }
}

fn contains_lowered(lowered: &[u8], bytes: &[u8]) -> bool {
    let Some(first) = lowered.first() else { return true };
    memchr2_iter(*first, first.to_ascii_uppercase(), bytes).any(|at| {
        bytes[at..]
            .get(..lowered.len())
            .is_some_and(|part| lowered.eq_ignore_ascii_case(part))
    })
}

/// Matches greedily and, on a mismatch, goes back to the last run only: an earlier run never has to grow, because
/// whatever it could give up the last one can take.
fn matches_symbols(symbols: &[Symbol], text: &str, case: Case) -> bool {
    let mut rest = text.chars();
    let mut position = 0;
    // Where to go on after the last run: the symbol behind it, and the text it has not swallowed yet.
    let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        match symbols.get(position) {
            Some(Symbol::AnyRun) => {
                position += 1;
                if position == symbols.len() {
                    return true;
                }
                retry = Some((position, rest.clone()));
                continue;
            }
            Some(symbol) => {
                let mut ahead = rest.clone();
                let Some(character) = ahead.next() else { return false };
                if symbol_matches(*symbol, character, case) {
                    rest = ahead;
                    position += 1;
                    continue;
                }
            }
            None if rest.as_str().is_empty() => return true,
            None => {}
        }
        let Some((behind_run, unswallowed)) = &mut retry else {
            return false;
        };
        if unswallowed.next().is_none() {
            return false;
        }
        position = *behind_run;
        rest = unswallowed.clone();
    }
}

fn symbol_matches(symbol: Symbol, character: char, case: Case) -> bool {
    match (symbol, case) {
        (Symbol::Character(wanted), Case::Sensitive) => wanted == character,
        (Symbol::Character(wanted), Case::Insensitive) => wanted == character.to_ascii_lowercase(),
        (Symbol::AnyCharacter | Symbol::AnyRun, _) => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By definition: a run is empty or takes one character more.
    fn naive(symbols: &[Symbol], text: &[char], case: Case) -> bool {
        match (symbols, text) {
            ([], []) => true,
            ([Symbol::AnyRun, behind @ ..], _) if naive(behind, text, case) => true,
            ([Symbol::AnyRun, ..], [_, rest @ ..]) => naive(symbols, rest, case),
            ([Symbol::AnyCharacter, behind @ ..], [_, rest @ ..]) => naive(behind, rest, case),
            ([Symbol::Character(wanted), behind @ ..], [character, rest @ ..]) => {
                let same = match case {
                    Case::Sensitive => wanted == character,
                    Case::Insensitive => wanted.eq_ignore_ascii_case(character),
                };
                same && naive(behind, rest, case)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn compiled_patterns_decide_as_their_definition(pattern in "[aAbé*?]{0,8}", text in "[aAbBéÉ]{0,10}") {
            let pattern = Pattern::from_like(&pattern);
            let characters: Vec<char> = text.chars().collect();
            for case in [Case::Sensitive, Case::Insensitive] {
                let compiled = match Wildcard::exact_text(&pattern) {
                    Some(exact) => TextSet::new(&[exact], case).contains(&text),
                    None => Wildcard::compile(&pattern, case).matches(&text),
                };
                prop_assert_eq!(compiled, naive(pattern.symbols(), &characters, case));
            }
        }

        #[test]
        fn sets_decide_as_comparing_one_by_one(texts in prop::collection::vec("[aAbBé]{0,3}", 0..8), text in "[aAbBé]{0,3}") {
            prop_assert_eq!(TextSet::new(&texts, Case::Sensitive).contains(&text), texts.contains(&text));
            prop_assert_eq!(
                TextSet::new(&texts, Case::Insensitive).contains(&text),
                texts.iter().any(|wanted| wanted.eq_ignore_ascii_case(&text))
            );
        }
    }

    #[test]
    fn many_runs_over_a_long_text_end_soon() {
        let pattern = Pattern::from_like(&"*a".repeat(500));
        let text = "a".repeat(100_000) + "b";
        assert!(!Wildcard::compile(&pattern, Case::Insensitive).matches(&text));
    }
}
