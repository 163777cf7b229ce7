//! Lucene's grammar of patterns. Alternatives are joined by `|`, these of what `&` joins, these of parts in a row; a
//! part is negated by `~` before and repeated by what follows it.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Dot, Hir};

use super::language::{Language, digits, repeat};
use super::{RegexPattern, Written};
use crate::limits::RuleLimits;
use crate::value::Case;

/// Digits of a number in an interval, enough for any process id or port.
const MAX_INTERVAL_DIGITS: usize = 10;

/// Reads a pattern; an error says what cannot be read or translated.
pub(crate) fn parse(limits: &RuleLimits, pattern: &str, case: Case) -> Result<RegexPattern, String> {
    let mut parser = Parser {
        limits,
        rest: pattern,
        case,
        depth: 0,
    };
    let language = parser.alternation()?;
    match parser.rest.chars().next() {
        None => Ok(RegexPattern {
            written: Written {
                text: pattern.to_owned(),
                case,
            },
            language,
        }),
        Some(unexpected) => Err(format!("`{unexpected}` closes nothing")),
    }
}

struct Parser<'a> {
    limits: &'a RuleLimits,
    rest: &'a str,
    case: Case,
    depth: usize,
}

type Parsed = Result<Language, String>;

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
        let mut alternatives = vec![self.intersection()?];
        while self.take('|') {
            alternatives.push(self.intersection()?);
        }
        Ok(Language::union(alternatives))
    }

    fn intersection(&mut self) -> Parsed {
        let mut parts = vec![self.concatenation()?];
        while self.take('&') {
            parts.push(self.concatenation()?);
        }
        Ok(Language::intersection(parts))
    }

    fn concatenation(&mut self) -> Parsed {
        let mut parts = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', '&', ')']) {
            let part = self.complement()?;
            parts.push(self.repeated(part)?);
        }
        Ok(Language::concat(parts))
    }

    /// `~` negates the shortest part after it: `~ab` is `(~a)b`.
    fn complement(&mut self) -> Parsed {
        if !self.take('~') {
            return self.primary();
        }
        if self.rest.is_empty() || self.rest.starts_with(['|', '&', ')']) {
            return Err("the operator `~` negates nothing".to_owned());
        }
        let part = self.nested(Parser::complement)?;
        Ok(Language::Complement(Box::new(part)))
    }

    /// Runs `parse` one level deeper.
    fn nested(&mut self, parse: fn(&mut Self) -> Parsed) -> Parsed {
        if self.depth == self.limits.nesting {
            return Err(format!("groups nest deeper than {} levels", self.limits.nesting));
        }
        self.depth += 1;
        let inner = parse(self);
        self.depth -= 1;
        inner
    }

    fn repeated(&mut self, mut part: Language) -> Parsed {
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
            part = Language::repeat(part, min, max);
        }
    }

    /// `{n}`, `{n,}` or `{n,m}`
    fn counted(&mut self, part: Language) -> Parsed {
        let (inside, rest) = self.rest[1..].split_once('}').ok_or("`{` has no `}`")?;
        self.rest = rest;
        let number = |text: &str| {
            let number = text.parse::<u32>().map_err(|_| format!("`{{{inside}}}` is no count"))?;
            if number > self.limits.regex_repeats {
                return Err(format!("a count is higher than {}", self.limits.regex_repeats));
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
        Ok(Language::repeat(part, min, max))
    }

    fn primary(&mut self) -> Parsed {
        let hir = match self.next() {
            None => Hir::empty(),
            Some('.') => Hir::dot(Dot::AnyChar),
            Some('@') => repeat(Hir::dot(Dot::AnyChar), 0, None),
            Some('#') => Hir::fail(),
            Some('(') => return self.group(),
            Some('[') => self.class()?,
            Some('"') => self.quoted()?,
            Some('\\') => self.escaped()?,
            Some(operator @ ('?' | '*' | '+' | '{')) => return Err(format!("`{operator}` repeats nothing")),
            Some('<') => self.interval()?,
            Some(character) => self.character(character),
        };
        Ok(Language::Plain(hir))
    }

    fn group(&mut self) -> Parsed {
        let inner = self.nested(Parser::alternation)?;
        if self.take(')') {
            Ok(inner)
        } else {
            Err("`(` has no `)`".to_owned())
        }
    }

    fn quoted(&mut self) -> Result<Hir, String> {
        let (inside, rest) = self.rest.split_once('"').ok_or("`\"` has no closing `\"`")?;
        self.rest = rest;
        Ok(Hir::concat(
            inside.chars().map(|character| self.character(character)).collect(),
        ))
    }

    /// `<n-m>`: a whole number from the one to the other. Written with as many digits as both if these are equally
    /// many, else with any number of zeros before it.
    fn interval(&mut self) -> Result<Hir, String> {
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

    fn escaped(&mut self) -> Result<Hir, String> {
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

    fn class(&mut self) -> Result<Hir, String> {
        let negated = self.take('^');
        let mut class = ClassUnicode::empty();
        let mut is_first = true;
        loop {
            let from = match self.next().ok_or("`[` has no `]`")? {
                // Directly after the bracket it is a character like others.
                ']' if !is_first => break,
                '\\' => {
                    let escaped = self.next().ok_or("`[` has no `]`")?;
                    if let Some(predefined) = predefined(escaped) {
                        class.union(&predefined);
                        is_first = false;
                        continue;
                    }
                    escaped
                }
                plain => plain,
            };
            is_first = false;
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
