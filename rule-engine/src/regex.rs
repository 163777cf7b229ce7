//! Regular expressions in Lucene's dialect, as EQL's `regex` uses them.
//!
//! A pattern describes the whole text: there are no anchors, and `^` and `$` are characters like others. It is read
//! here and handed to an automaton that runs in time linear in the text. `~` (complement) and `&` (intersection) have no
//! counterpart there and are errors that name them: without one, their automata can grow exponentially.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use regex_automata::meta;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition};

use crate::field_reference::Case;
use crate::limits::{MAX_QUERY_NESTING, MAX_REGEX_AUTOMATON_BYTES, MAX_REGEX_REPEATS};

/// Digits of a number in an interval, enough for any process id or port.
const MAX_INTERVAL_DIGITS: usize = 10;

/// One or more patterns of which one has to match the whole text.
#[derive(Clone, Debug)]
pub(crate) struct Regex {
    automaton: meta::Regex,
    /// The patterns in the automaton's own dialect: what tells one regular expression from another.
    text: Arc<str>,
}

impl PartialEq for Regex {
    fn eq(&self, other: &Regex) -> bool {
        self.text == other.text
    }
}

impl Eq for Regex {}

impl Hash for Regex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Regex {
    /// `None` if the automaton would be larger than [`MAX_REGEX_AUTOMATON_BYTES`].
    pub fn new(patterns: Vec<Hir>) -> Option<Regex> {
        let whole = Hir::concat(vec![
            Hir::look(Look::Start),
            Hir::alternation(patterns),
            Hir::look(Look::End),
        ]);
        let config = meta::Config::new()
            .nfa_size_limit(Some(MAX_REGEX_AUTOMATON_BYTES))
            .hybrid_cache_capacity(MAX_REGEX_AUTOMATON_BYTES);
        let automaton = meta::Builder::new().configure(config).build_from_hir(&whole).ok()?;
        Some(Regex {
            automaton,
            text: whole.to_string().into(),
        })
    }

    pub fn matches(&self, text: &str) -> bool {
        self.automaton.is_match(Input::new(text).anchored(Anchored::Yes))
    }
}

/// Reads a pattern; an error says what cannot be read or translated.
pub(crate) fn parse(pattern: &str, case: Case) -> Result<Hir, String> {
    let mut parser = Parser {
        rest: pattern,
        case,
        depth: 0,
    };
    let hir = parser.alternation()?;
    match parser.rest.chars().next() {
        None => Ok(hir),
        Some(unexpected) => Err(format!("`{unexpected}` closes nothing")),
    }
}

struct Parser<'a> {
    rest: &'a str,
    case: Case,
    depth: usize,
}

type Parsed = Result<Hir, String>;

impl Parser<'_> {
    fn take(&mut self, symbol: char) -> bool {
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn alternation(&mut self) -> Parsed {
        let mut alternatives = vec![self.concatenation()?];
        while self.take('|') {
            alternatives.push(self.concatenation()?);
        }
        Ok(Hir::alternation(alternatives))
    }

    fn concatenation(&mut self) -> Parsed {
        let mut parts = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let part = self.primary()?;
            parts.push(self.repeated(part)?);
        }
        Ok(Hir::concat(parts))
    }

    fn repeated(&mut self, mut part: Hir) -> Parsed {
        loop {
            let (min, max) = match self.rest.chars().next() {
                Some('?') => (0, Some(1)),
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('{') => {
                    part = self.counted(part)?;
                    continue;
                }
                _ => return Ok(part),
            };
            self.next();
            part = repeat(part, min, max);
        }
    }

    /// `{n}`, `{n,}` or `{n,m}`
    fn counted(&mut self, part: Hir) -> Parsed {
        let (inside, rest) = self.rest[1..].split_once('}').ok_or("`{` has no `}`")?;
        self.rest = rest;
        let number = |text: &str| {
            let number = text.parse::<u32>().map_err(|_| format!("`{{{inside}}}` is no count"))?;
            if number > MAX_REGEX_REPEATS {
                return Err(format!("a count is higher than {MAX_REGEX_REPEATS}"));
            }
            Ok(number)
        };
        let (min, max) = match inside.split_once(',') {
            None => (number(inside)?, Some(number(inside)?)),
            Some((min, "")) => (number(min)?, None),
            Some((min, max)) => (number(min)?, Some(number(max)?)),
        };
        if max.is_some_and(|max| max < min) {
            return Err(format!("`{{{inside}}}` ends before it begins"));
        }
        Ok(repeat(part, min, max))
    }

    fn primary(&mut self) -> Parsed {
        match self.next() {
            None => Ok(Hir::empty()),
            Some('.') => Ok(Hir::dot(Dot::AnyChar)),
            Some('@') => Ok(repeat(Hir::dot(Dot::AnyChar), 0, None)),
            Some('#') => Ok(Hir::fail()),
            Some('(') => self.group(),
            Some('[') => self.class(),
            Some('"') => self.quoted(),
            Some('\\') => self.escaped(),
            Some(operator @ ('?' | '*' | '+' | '{')) => Err(format!("`{operator}` repeats nothing")),
            Some('~') => Err("the operator `~` (complement) is not supported".to_owned()),
            Some('&') => Err("the operator `&` (intersection) is not supported".to_owned()),
            Some('<') => self.interval(),
            Some(character) => Ok(self.character(character)),
        }
    }

    fn group(&mut self) -> Parsed {
        if self.depth == MAX_QUERY_NESTING {
            return Err(format!("groups nest deeper than {MAX_QUERY_NESTING} levels"));
        }
        self.depth += 1;
        let inner = self.alternation()?;
        self.depth -= 1;
        if self.take(')') {
            Ok(inner)
        } else {
            Err("`(` has no `)`".to_owned())
        }
    }

    fn quoted(&mut self) -> Parsed {
        let (inside, rest) = self.rest.split_once('"').ok_or("`\"` has no closing `\"`")?;
        self.rest = rest;
        Ok(Hir::concat(
            inside.chars().map(|character| self.character(character)).collect(),
        ))
    }

    /// `<n-m>`: a whole number from the one to the other. Written with as many digits as both if these are equally
    /// many, else with any number of zeros before it.
    fn interval(&mut self) -> Parsed {
        let (inside, rest) = self.rest.split_once('>').ok_or("`<` has no `>`")?;
        self.rest = rest;
        let is_number = |text: &str| {
            (1..=MAX_INTERVAL_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let (one, other) = inside
            .split_once('-')
            .filter(|(one, other)| is_number(one) && is_number(other))
            .ok_or_else(|| format!("`<{inside}>` is no interval such as `<1-20>`"))?;
        let width = one.len().max(other.len());
        let (one_padded, other_padded) = (format!("{one:0>width$}"), format!("{other:0>width$}"));
        let low = one_padded.as_str().min(&other_padded);
        let high = one_padded.as_str().max(&other_padded);
        let fixed = between(low.as_bytes(), high.as_bytes());
        if one.len() == other.len() {
            return Ok(fixed);
        }
        // Of any width: with zeros before, or without some of those that fill up to the width.
        let zeros = repeat(digits(b'0', b'0'), 0, None);
        let narrower = (1..width).map(|width| {
            let largest = "9".repeat(width);
            let high = largest.as_str().min(last(high, width).unwrap_or(&largest));
            last(low, width)
                .filter(|low| *low <= high)
                .map(|low| between(low.as_bytes(), high.as_bytes()))
        });
        let widths: Vec<Hir> = narrower.flatten().chain([fixed]).collect();
        Ok(Hir::concat(vec![zeros, Hir::alternation(widths)]))
    }

    fn escaped(&mut self) -> Parsed {
        let character = self.next().ok_or("a backslash at the end escapes nothing")?;
        match predefined(character) {
            Some(class) => Ok(Hir::class(Class::Unicode(class))),
            None => Ok(self.character(character)),
        }
    }

    fn character(&self, character: char) -> Hir {
        Hir::class(Class::Unicode(self.range(character, character)))
    }

    fn range(&self, from: char, to: char) -> ClassUnicode {
        let mut class = ClassUnicode::new([ClassUnicodeRange::new(from, to)]);
        if self.case == Case::Insensitive {
            for (lower, upper) in ('a'..='z').zip('A'..='Z') {
                for (one, other) in [(lower, upper), (upper, lower)] {
                    if (from..=to).contains(&one) {
                        class.push(ClassUnicodeRange::new(other, other));
                    }
                }
            }
        }
        class
    }

    fn class(&mut self) -> Parsed {
        let negated = self.take('^');
        let mut class = ClassUnicode::empty();
        loop {
            let from = match self.next().ok_or("`[` has no `]`")? {
                ']' => break,
                '\\' => {
                    let escaped = self.next().ok_or("`[` has no `]`")?;
                    if let Some(predefined) = predefined(escaped) {
                        class.union(&predefined);
                        continue;
                    }
                    escaped
                }
                plain => plain,
            };
            let mut to = from;
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.next();
                to = match self.next().ok_or("`[` has no `]`")? {
                    '\\' => self.next().ok_or("`[` has no `]`")?,
                    plain => plain,
                };
            }
            if to < from {
                return Err(format!("the range `{from}-{to}` ends before it begins"));
            }
            class.union(&self.range(from, to));
        }
        if negated {
            class.negate();
        }
        Ok(Hir::class(Class::Unicode(class)))
    }
}

/// The last digits of a number, if it has no others but zeros.
fn last(number: &str, width: usize) -> Option<&str> {
    let (before, last) = number.split_at(number.len() - width);
    before.bytes().all(|digit| digit == b'0').then_some(last)
}

fn digits(from: u8, to: u8) -> Hir {
    Hir::class(Class::Unicode(ClassUnicode::new([ClassUnicodeRange::new(
        char::from(from),
        char::from(to),
    )])))
}

/// The numbers from `low` to `high`, all with as many digits as these two, which are equally many.
fn between(low: &[u8], high: &[u8]) -> Hir {
    let ([first_low, rest_low @ ..], [first_high, rest_high @ ..]) = (low, high) else {
        return Hir::empty();
    };
    if first_low == first_high {
        return Hir::concat(vec![digits(*first_low, *first_low), between(rest_low, rest_high)]);
    }
    let (zeros, nines) = (vec![b'0'; rest_low.len()], vec![b'9'; rest_low.len()]);
    let mut choices = vec![
        Hir::concat(vec![digits(*first_low, *first_low), between(rest_low, &nines)]),
        Hir::concat(vec![digits(*first_high, *first_high), between(&zeros, rest_high)]),
    ];
    if first_low + 1 < *first_high {
        let any = repeat(digits(b'0', b'9'), rest_low.len() as u32, Some(rest_low.len() as u32));
        choices.push(Hir::concat(vec![digits(first_low + 1, first_high - 1), any]));
    }
    Hir::alternation(choices)
}

fn repeat(part: Hir, min: u32, max: Option<u32>) -> Hir {
    Hir::repetition(Repetition {
        min,
        max,
        greedy: true,
        sub: Box::new(part),
    })
}

/// `\d`, `\s`, `\w` and their opposites, of ASCII as in Lucene.
fn predefined(letter: char) -> Option<ClassUnicode> {
    let ranges: &[(char, char)] = match letter.to_ascii_lowercase() {
        'd' => &[('0', '9')],
        's' => &[(' ', ' '), ('\t', '\t'), ('\n', '\n'), ('\r', '\r')],
        'w' => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        _ => return None,
    };
    let mut class = ClassUnicode::new(ranges.iter().map(|(from, to)| ClassUnicodeRange::new(*from, *to)));
    if letter.is_ascii_uppercase() {
        class.negate();
    }
    Some(class)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, case: Case, text: &str) -> bool {
        let hir = parse(pattern, case).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        Regex::new(vec![hir]).expect("a small automaton").matches(text)
    }

    #[test]
    fn a_pattern_describes_the_whole_text() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("abc", "xabcx", false),
            (".*abc.*", "x\nabc\nx", true),
            ("", "", true),
            ("", "a", false),
            ("a|bc", "bc", true),
            ("(a|b)c", "bc", true),
            ("()", "", true),
            ("ab?c+d*", "acc", true),
            ("a{2}", "aa", true),
            ("a{2}", "aaa", false),
            ("a{1,2}b{0,}", "aabbb", true),
            ("[a-c0\\-]+", "ab-0c", true),
            ("[^a-c]", "d", true),
            ("[^a-c]", "b", false),
            ("[a-]", "-", true),
            ("[-a]", "-", true),
            ("[.*]", "*", true),
            (r"\d\w\s\D", "1_ x", true),
            (r"[\d.]+", "1.2", true),
            (r"\.\/\[", "./[", true),
            ("^a$", "^a$", true),
            ("^a$", "a", false),
            ("\"a.b\"", "a.b", true),
            ("\"a.b\"", "axb", false),
            ("a@", "a and anything", true),
            ("a#", "a", false),
            ("a#|b", "b", true),
            ("é.", "éé", true),
        ] {
            assert_eq!(matches(pattern, Case::Sensitive, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn without_regard_to_case_only_letters_of_ascii_are_folded() {
        for (pattern, text, expected) in [
            ("ab", "Ab", true),
            ("[a-c]x", "BX", true),
            ("[^a]", "A", false),
            ("\"aB\"", "Ab", true),
            ("é", "É", false),
        ] {
            assert_eq!(
                matches(pattern, Case::Insensitive, text),
                expected,
                "{pattern} on {text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_or_translated_is_named() {
        for (pattern, expected) in [
            ("~a", "the operator `~` (complement) is not supported"),
            ("a&b", "the operator `&` (intersection) is not supported"),
            ("<1-9", "`<` has no `>`"),
            ("<a-9>", "`<a-9>` is no interval such as `<1-20>`"),
            ("<19>", "`<19>` is no interval such as `<1-20>`"),
            ("<1-99999999999>", "`<1-99999999999>` is no interval such as `<1-20>`"),
            ("(a", "`(` has no `)`"),
            ("a)", "`)` closes nothing"),
            ("[a", "`[` has no `]`"),
            ("[c-a]", "the range `c-a` ends before it begins"),
            ("*a", "`*` repeats nothing"),
            ("a{x}", "`{x}` is no count"),
            ("a{2,1}", "`{2,1}` ends before it begins"),
            ("a{9999999}", "a count is higher than 1000"),
            ("a\\", "a backslash at the end escapes nothing"),
            ("\"a", "`\"` has no closing `\"`"),
        ] {
            assert_eq!(
                parse(pattern, Case::Sensitive).map(|_| ()),
                Err(expected.to_owned()),
                "{pattern}"
            );
        }
        assert!(parse(&"(".repeat(10_000), Case::Sensitive).is_err());
    }

    #[test]
    fn an_automaton_that_explodes_is_refused_and_a_hard_one_stays_linear() {
        let hir = parse("((((a{1,1000}){1,1000}){1,1000}){1,1000})", Case::Sensitive).expect("a sound pattern");
        assert!(Regex::new(vec![hir]).is_none());
        assert!(!matches("(a*)*(a*)*(a|aa)*b", Case::Sensitive, &"a".repeat(100_000)));
    }

    proptest! {
        #[test]
        fn an_interval_is_its_numbers(
            ends in ("[0-9]{1,4}", "[0-9]{1,4}"),
            texts in prop::collection::vec("[0-9]{0,6}", 50),
        ) {
            let numbers = [&ends.0, &ends.1].map(|text| text.parse::<u64>().expect("digits"));
            let (low, high) = (numbers[0].min(numbers[1]), numbers[0].max(numbers[1]));
            let pattern = format!("<{}-{}>", ends.0, ends.1);
            for text in texts {
                let is_within = text.parse().is_ok_and(|number: u64| (low..=high).contains(&number));
                let has_width = ends.0.len() != ends.1.len() || text.len() == ends.0.len();
                prop_assert_eq!(matches(&pattern, Case::Sensitive, &text), is_within && has_width, "{} on {}", pattern, text);
            }
        }

        #[test]
        fn no_pattern_makes_the_reader_panic(pattern in r#"[ab.?+*|{}\[\]()~<>&@#"\\^,0-9é-]{0,30}"#, text in "[ab]{0,5}") {
            if let Ok(hir) = parse(&pattern, Case::Insensitive)
                && let Some(regex) = Regex::new(vec![hir])
            {
                regex.matches(&text);
            }
        }
    }
}
