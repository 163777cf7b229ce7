//! Wildcard patterns.

use std::fmt::{self, Write as _};

use super::case::Case;

/// A wildcard pattern over a whole text. Never two `AnyRun`s in a row.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Pattern(Vec<Symbol>);

#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Symbol {
    Character(char),
    /// `?` of EQL: exactly one character.
    AnyCharacter,
    /// `*`: any run of characters, also none.
    AnyRun,
}

impl Pattern {
    pub(crate) fn new(symbols: impl IntoIterator<Item = Symbol>) -> Pattern {
        let mut pattern: Vec<Symbol> = symbols.into_iter().collect();
        pattern.dedup_by(|next, previous| *next == Symbol::AnyRun && *previous == Symbol::AnyRun);
        Pattern(pattern)
    }

    /// A pattern of EQL's `like`: `*` and `?` are wildcards, and nothing takes their meaning away.
    pub(crate) fn from_like(text: &str) -> Pattern {
        Pattern::new(text.chars().map(|character| match character {
            '*' => Symbol::AnyRun,
            '?' => Symbol::AnyCharacter,
            other => Symbol::Character(other),
        }))
    }

    /// A pattern of data stream names, in which only `*` is a wildcard.
    pub(crate) fn from_index(text: &str) -> Pattern {
        Pattern::new(text.chars().map(|character| match character {
            '*' => Symbol::AnyRun,
            other => Symbol::Character(other),
        }))
    }

    /// A pattern without wildcards.
    pub(crate) fn literal(text: &str) -> Pattern {
        Pattern::new(text.chars().map(Symbol::Character))
    }

    /// A pattern of Elasticsearch's `wildcard` query: `*` and `?` are wildcards unless a backslash is before them.
    pub(crate) fn from_wildcard_query(text: &str) -> Pattern {
        let mut characters = text.chars();
        Pattern::new(std::iter::from_fn(|| {
            Some(match characters.next()? {
                '*' => Symbol::AnyRun,
                '?' => Symbol::AnyCharacter,
                '\\' => Symbol::Character(characters.next().unwrap_or('\\')),
                other => Symbol::Character(other),
            })
        }))
    }

    /// Whether the pattern describes the whole text. Quadratic at worst: what runs for each event is compiled instead.
    pub(crate) fn matches(&self, text: &str, case: Case) -> bool {
        let same = |wanted: char, character: char| match case {
            Case::Sensitive => wanted == character,
            Case::Insensitive => wanted.eq_ignore_ascii_case(&character),
        };
        let (mut symbols, mut rest) = (self.0.as_slice(), text.chars());
        // What stands behind the latest run, and where in the text it was tried last.
        let mut retry = None;
        loop {
            let mut behind = rest.clone();
            match (symbols, behind.next()) {
                ([], None) => return true,
                ([Symbol::AnyRun, after_run @ ..], _) => {
                    retry = Some((after_run, rest.clone()));
                    symbols = after_run;
                }
                ([Symbol::AnyCharacter, after @ ..], Some(_)) => (symbols, rest) = (after, behind),
                ([Symbol::Character(wanted), after @ ..], Some(character)) if same(*wanted, character) => {
                    (symbols, rest) = (after, behind);
                }
                // The latest run takes one character more; taking more in an earlier one would not help.
                _ => {
                    let Some((after_run, tried)) = &mut retry else {
                        return false;
                    };
                    if tried.next().is_none() {
                        return false;
                    }
                    (symbols, rest) = (*after_run, tried.clone());
                }
            }
        }
    }

    /// The text that a pattern without wildcards stands for.
    pub(crate) fn exact_text(&self) -> Option<String> {
        let character = |symbol: &Symbol| match symbol {
            Symbol::Character(character) => Some(*character),
            Symbol::AnyCharacter | Symbol::AnyRun => None,
        };
        self.0.iter().map(character).collect()
    }

    pub(crate) fn symbols(&self) -> &[Symbol] {
        &self.0
    }
}

/// As in EQL's `like`.
impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|symbol| match symbol {
            Symbol::Character(character) => formatter.write_char(*character),
            Symbol::AnyCharacter => formatter.write_char('?'),
            Symbol::AnyRun => formatter.write_char('*'),
        })
    }
}
