//! Tests of one text, each in its cheapest equivalent form and linear in the text.
//!
//! For case-insensitive tests, literals and patterns are folded when they are compiled and the value is folded once,
//! into a reused buffer; from there on only bytes are compared.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use memchr::memmem::Finder;

use super::wildcards::Wildcards;
use crate::value::FoldBuffer;
use crate::value::case::fold;
use crate::value::hash::TextMap;
use crate::value::regex::Regex;
#[cfg(test)]
use crate::value::steps;
use crate::value::{Address, Case, Network, Order, Pattern, Symbol};

/// Comparing with this many texts costs no more than a set look-up.
const MOST_TRIED_ONE_BY_ONE: usize = 6;

#[derive(Debug)]
pub(super) enum TextTest {
    Is(Box<str>),
    IsIgnoringCase(Box<str>),
    OneOf(TextSet, Case),
    Like(Box<PatternSet>),
    Regex(Regex),
    /// Words in a row, each between zeros.
    Phrases(Parts),
    AnyWord(Box<TextTest>),
    Within(Box<[Network]>),
    AddressOrder(Order, Address),
    Order(Order, Box<str>),
}

impl TextTest {
    pub(super) fn one_of(texts: &[String], case: Case) -> TextTest {
        match (texts, case) {
            ([text], Case::Sensitive) => TextTest::Is(text.as_str().into()),
            ([text], Case::Insensitive) => TextTest::IsIgnoringCase(text.as_str().into()),
            _ => TextTest::OneOf(TextSet::new(texts.iter().map(|text| fold(text.as_bytes(), case))), case),
        }
    }

    pub(super) fn like(patterns: &[Pattern], case: Case) -> TextTest {
        let exact: Option<Vec<String>> = patterns.iter().map(Pattern::exact_text).collect();
        match exact {
            Some(texts) => TextTest::one_of(&texts, case),
            None => TextTest::Like(Box::new(PatternSet::new(patterns, case))),
        }
    }

    pub(super) fn phrases(phrases: &[Vec<String>]) -> TextTest {
        let separated = |phrase: &Vec<String>| format!("\0{}\0", phrase.join("\0")).into_bytes().into();
        TextTest::Phrases(Parts::new(&phrases.iter().map(separated).collect::<Vec<_>>()))
    }

    pub(super) fn passes(&self, text: &str, scratch: &FoldBuffer) -> bool {
        match self {
            TextTest::Phrases(phrases) => scratch.words(text, |words| phrases.any_within(words)),
            TextTest::AnyWord(test) => scratch.words(text, |words| {
                let words = words.split(|byte| *byte == 0).filter(|word| !word.is_empty());
                let mut words = words.filter_map(|word| str::from_utf8(word).ok());
                words.any(|word| test.passes(word, scratch))
            }),
            TextTest::Is(wanted) => **wanted == *text,
            TextTest::IsIgnoringCase(wanted) => wanted.eq_ignore_ascii_case(text),
            TextTest::OneOf(texts, case) => {
                text.len() <= texts.0.longest() && scratch.folded(text, *case, |text| texts.contains(text))
            }
            TextTest::Like(patterns) => patterns.matches(text, scratch),
            TextTest::Regex(regex) => regex.matches(text),
            TextTest::Within(networks) => {
                Address::parse(text).is_some_and(|address| networks.iter().any(|network| network.contains(address)))
            }
            TextTest::AddressOrder(order, limit) => {
                Address::parse(text).is_some_and(|address| order.holds(address.cmp(limit)))
            }
            TextTest::Order(order, limit) => order.holds(text.cmp(limit)),
        }
    }
}

/// Texts, one of which must equal the value.
#[derive(Debug)]
pub(super) struct TextSet(TextMap<()>);

impl TextSet {
    fn new(texts: impl Iterator<Item = Box<[u8]>>) -> TextSet {
        TextSet(texts.map(|text| (text, ())).collect())
    }

    fn contains(&self, text: &[u8]) -> bool {
        self.0.get(text).is_some()
    }
}

/// Texts, one of which must be a prefix or suffix of the value.
#[derive(Debug)]
enum Affixes {
    /// Tried one after the other.
    Few(Box<[Box<[u8]>]>),
    /// Looked up once per distinct length.
    Many { texts: TextSet, lengths: Box<[usize]> },
}

impl Affixes {
    fn new(texts: Vec<Box<[u8]>>) -> Affixes {
        if texts.len() <= MOST_TRIED_ONE_BY_ONE {
            return Affixes::Few(texts.into());
        }
        let mut lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        Affixes::Many {
            texts: TextSet::new(texts.into_iter()),
            lengths: lengths.into(),
        }
    }

    fn any_starts(&self, text: &[u8]) -> bool {
        match self {
            Affixes::Few(texts) => texts.iter().any(|start| text.starts_with(start)),
            Affixes::Many { texts, lengths } => {
                let mut heads = lengths.iter().map_while(|length| text.get(..*length));
                heads.any(|head| texts.contains(head))
            }
        }
    }

    fn any_ends(&self, text: &[u8]) -> bool {
        match self {
            Affixes::Few(texts) => texts.iter().any(|end| text.ends_with(end)),
            Affixes::Many { texts, lengths } => {
                let tail = |length: &usize| text.len().checked_sub(*length).map(|start| &text[start..]);
                let mut tails = lengths.iter().map_while(tail);
                tails.any(|tail| texts.contains(tail))
            }
        }
    }
}

/// Texts, one of which must occur somewhere in the value.
#[derive(Debug)]
pub(super) enum Parts {
    None,
    One(Box<Finder<'static>>),
    Many(AhoCorasick),
}

impl Parts {
    fn new(parts: &[Box<[u8]>]) -> Parts {
        match parts {
            [] => Parts::None,
            [part] => Parts::One(Box::new(Finder::new(part).into_owned())),
            _ => automaton(parts).map_or(Parts::None, Parts::Many),
        }
    }

    fn any_within(&self, text: &[u8]) -> bool {
        match self {
            Parts::None => false,
            Parts::One(finder) => finder.find(text).is_some(),
            Parts::Many(automaton) => automaton.is_match(text),
        }
    }
}

/// An automaton that searches for all parts at once, in the form with the least memory: every condition may have one.
/// `None` only for more bytes than a rule may have.
fn automaton(parts: &[Box<[u8]>]) -> Option<AhoCorasick> {
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(parts)
        .ok()
}

/// A pattern of literals separated by runs: `a*b*c`. Only the first and the last literal may be empty.
#[derive(Debug)]
struct Segments {
    start: Box<[u8]>,
    middle: Box<[Finder<'static>]>,
    end: Box<[u8]>,
}

impl Segments {
    /// Matching each literal as early as possible leaves the most text for the rest.
    fn matches(&self, text: &[u8]) -> bool {
        let inner = text.strip_prefix(&*self.start);
        let Some(mut rest) = inner.and_then(|inner| inner.strip_suffix(&*self.end)) else {
            return false;
        };
        for literal in &self.middle {
            let found = literal.find(rest);
            #[cfg(test)]
            steps::add(found.map_or(rest.len(), |at| at + literal.needle().len()));
            let Some(at) = found else { return false };
            rest = &rest[at + literal.needle().len()..];
        }
        true
    }
}

/// Wildcard patterns, one of which must match the whole text, grouped by how they are matched.
#[derive(Debug)]
pub(crate) struct PatternSet {
    case: Case,
    anything: bool,
    exact: TextSet,
    starts: Affixes,
    ends: Affixes,
    parts: Parts,
    segments: Box<[Segments]>,
    wildcards: Box<[Wildcards]>,
}

impl PatternSet {
    pub(super) fn new(patterns: &[Pattern], case: Case) -> PatternSet {
        let (mut exact, mut starts, mut ends, mut parts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut segments, mut wildcards) = (Vec::new(), Vec::new());
        let mut anything = false;
        for pattern in patterns {
            let Some(mut literals) = literals(pattern, case) else {
                wildcards.push(Wildcards::new(pattern, case));
                continue;
            };
            // There is at least one; the first and the last are prefix and suffix.
            let (Some(end), false) = (literals.pop(), literals.is_empty()) else {
                exact.extend(pattern.exact_text().map(|text| fold(text.as_bytes(), case)));
                continue;
            };
            let start = literals.remove(0);
            match (start.is_empty(), literals.len(), end.is_empty()) {
                (true, 0, true) => anything = true,
                (false, 0, true) => starts.push(start),
                (true, 0, false) => ends.push(end),
                (true, 1, true) => parts.append(&mut literals),
                _ => segments.push(Segments {
                    start,
                    middle: literals.iter().map(|part| Finder::new(part).into_owned()).collect(),
                    end,
                }),
            }
        }
        PatternSet {
            case,
            anything,
            exact: TextSet::new(exact.into_iter()),
            starts: Affixes::new(starts),
            ends: Affixes::new(ends),
            parts: Parts::new(&parts),
            segments: segments.into(),
            wildcards: wildcards.into(),
        }
    }

    pub(super) fn matches(&self, text: &str, scratch: &FoldBuffer) -> bool {
        self.anything || scratch.folded(text, self.case, |text| self.matches_folded(text))
    }

    fn matches_folded(&self, text: &[u8]) -> bool {
        #[cfg(test)]
        steps::add(text.len());
        self.exact.contains(text)
            || self.starts.any_starts(text)
            || self.ends.any_ends(text)
            || self.parts.any_within(text)
            || self.segments.iter().any(|segments| segments.matches(text))
            || self.wildcards.iter().any(|wildcards| wildcards.matches(text))
    }
}

/// The literals between the runs of a pattern, one more than there are runs; only the first and the last may be empty.
/// `None` if the pattern contains `?`.
fn literals(pattern: &Pattern, case: Case) -> Option<Vec<Box<[u8]>>> {
    let literal = |symbols: &[Symbol]| {
        let characters = symbols.iter().map(|symbol| match symbol {
            Symbol::Character(character) => Some(*character),
            Symbol::AnyCharacter | Symbol::AnyRun => None,
        });
        let text: String = characters.collect::<Option<_>>()?;
        Some(fold(text.as_bytes(), case))
    };
    let runs = pattern.symbols().split(|symbol| *symbol == Symbol::AnyRun);
    runs.map(literal).collect()
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

    fn case() -> impl Strategy<Value = Case> {
        prop_oneof![Just(Case::Sensitive), Just(Case::Insensitive)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn sets_of_patterns_decide_as_their_definition(
            patterns in prop::collection::vec("[aAbé*?]{0,7}", 1..5),
            text in "[aAbBé]{0,9}",
            case in case(),
        ) {
            let patterns: Vec<Pattern> = patterns.iter().map(|pattern| Pattern::from_like(pattern)).collect();
            let characters: Vec<char> = text.chars().collect();
            let expected = patterns.iter().any(|pattern| naive(pattern.symbols(), &characters, case));
            let test = TextTest::like(&patterns, case);
            prop_assert_eq!(test.passes(&text, &FoldBuffer::default()), expected);
            let set = PatternSet::new(&patterns, case);
            prop_assert_eq!(set.matches(&text, &FoldBuffer::default()), expected);
        }

        #[test]
        fn sets_of_texts_decide_as_comparing_one_by_one(
            texts in prop::collection::vec("[aAbBé]{0,3}", 0..8),
            text in "[aAbBé]{0,3}",
        ) {
            let passes = |case| TextTest::one_of(&texts, case).passes(&text, &FoldBuffer::default());
            prop_assert_eq!(passes(Case::Sensitive), texts.contains(&text));
            prop_assert_eq!(
                passes(Case::Insensitive),
                texts.iter().any(|wanted| wanted.eq_ignore_ascii_case(&text))
            );
        }
    }

    #[test]
    fn many_runs_over_a_long_text_end_soon() {
        let text = "a".repeat(128 << 10) + "b";
        for pattern in ["*a".repeat(500), "*?a".repeat(300), format!("*{}c*", "a".repeat(1_000))] {
            let set = PatternSet::new(&[Pattern::from_like(&pattern)], Case::Insensitive);
            assert!(!set.matches(&text, &FoldBuffer::default()), "{pattern}");
        }
    }
}
