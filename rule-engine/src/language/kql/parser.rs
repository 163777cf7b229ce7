//! KQL's grammar: text to syntax tree. What a word means depends on where it stands, so there is no separate lexer.
//! After an error, parsing resumes at the next `and`, `or` or closing parenthesis, if quotes and parentheses balance.

use super::super::ParseOptions;
use super::syntax::{Literal, Query, Reading};
use crate::diagnostic::{Code, Findings, Span};
use crate::limits::RuleLimits;
use crate::value::{Order, Symbol};

pub(super) fn parse(options: &ParseOptions, text: &str, findings: &mut Findings) -> Option<Query> {
    let mut parser = Parser {
        limits: options.limits(),
        text,
        at: 0,
        depth: 0,
        open: 0,
        can_recover: is_balanced(text),
        findings,
    };
    let query = parser.disjunction(&mut Parser::clause)?;
    match parser.peek() {
        None => Some(query),
        Some(_) => parser.unexpected("`and`, `or` or the end of the query"),
    }
}

/// Whether all parentheses and quotes are closed.
fn is_balanced(text: &str) -> bool {
    let (mut rest, mut open) = (text, 0_usize);
    while let Some(first) = rest.chars().next() {
        match first {
            '(' => open += 1,
            ')' if open == 0 => return false,
            ')' => open -= 1,
            _ => {}
        }
        match unit(rest) {
            Some(length) => rest = &rest[length..],
            None => return false,
        }
    }
    open == 0
}

/// How many bytes the first character of a text is long, or the quoted text or escaped character that begins with it;
/// `None` if a quote is not closed.
fn unit(text: &str) -> Option<usize> {
    let mut characters = text.char_indices();
    let (_, first) = characters.next()?;
    match first {
        '\\' => {
            characters.next();
        }
        '"' => loop {
            match characters.next()?.1 {
                '"' => break,
                '\\' => drop(characters.next()?),
                _ => {}
            }
        },
        _ => {}
    }
    Some(text.len() - characters.as_str().len())
}

struct Parser<'a> {
    limits: &'a RuleLimits,
    text: &'a str,
    at: usize,
    depth: usize,
    /// Parentheses that have been opened and not closed.
    open: usize,
    /// Whether quotes and parentheses balance, so that parsing can resume after an error.
    can_recover: bool,
    findings: &'a mut Findings,
}

type Operand<'p, 'a> = &'p mut dyn FnMut(&mut Parser<'a>) -> Option<Query>;

const SPECIAL: &[char] = &['\\', '(', ')', ':', '<', '>', '"', '*', '{', '}'];
const KEYWORDS: [&str; 3] = ["and", "or", "not"];

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next character that is no blank, which becomes the next one.
    fn peek(&mut self) -> Option<char> {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.rest().chars().next()
    }

    fn take(&mut self, symbol: &str) -> bool {
        self.peek();
        let found = self.rest().starts_with(symbol);
        self.at += if found { symbol.len() } else { 0 };
        found
    }

    /// Whether the text begins with the keyword, in any case, as a word of its own.
    fn starts_with_keyword(text: &str, keyword: &str) -> bool {
        let Some((word, following)) = text.split_at_checked(keyword.len()) else {
            return false;
        };
        word.eq_ignore_ascii_case(keyword)
            && following
                .chars()
                .next()
                .is_none_or(|next| next.is_whitespace() || next == '(')
    }

    fn is_at_connective(&self) -> bool {
        let mut connectives = ["and", "or"].iter();
        connectives.any(|word| Self::starts_with_keyword(self.rest(), word))
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        self.peek();
        let found = Self::starts_with_keyword(self.rest(), keyword);
        self.at += if found { keyword.len() } else { 0 };
        found
    }

    fn error<T>(&mut self, code: Code, message: impl Into<String>) -> Option<T> {
        let length = self.rest().chars().next().map_or(0, char::len_utf8);
        self.findings.add(Span::new(self.at, self.at + length), code, message);
        None
    }

    fn unexpected<T>(&mut self, wanted: &str) -> Option<T> {
        match self.peek() {
            None => self.error(Code::Syntax, format!("expected {wanted}, found the end of the query")),
            Some(found) => self.error(Code::Syntax, format!("expected {wanted}, found `{found}`")),
        }
    }

    /// Resumes after an error inside this many open parentheses or more.
    fn recover(&mut self, open: usize) -> Option<Query> {
        if !self.can_recover {
            return None;
        }
        let mut begins_word = true;
        while let Some(first) = self.rest().chars().next() {
            match first {
                ')' if self.open == open => break,
                _ if self.open == open && begins_word && self.is_at_connective() => break,
                ')' => self.open -= 1,
                '(' => self.open += 1,
                _ => {}
            }
            begins_word = first.is_whitespace() || matches!(first, ')' | '"');
            self.at += unit(self.rest())?;
        }
        Some(Query::Broken)
    }

    /// A condition or value, followed by `and`, `or`, a parenthesis or nothing.
    fn whole(&mut self, operand: Operand<'_, 'a>) -> Option<Query> {
        let whole = operand(self)?;
        if self.peek().is_some_and(|next| next != ')') && !self.is_at_connective() {
            let end = if self.open == 0 { "the end of the query" } else { "`)`" };
            return self.unexpected(&format!("`and`, `or` or {end}"));
        }
        Some(whole)
    }

    fn give_up<T>(&mut self, code: Code, message: String) -> Option<T> {
        self.can_recover = false;
        self.error(code, message)
    }

    fn disjunction(&mut self, operand: Operand<'_, 'a>) -> Option<Query> {
        self.chain("or", &mut |parser| parser.conjunction(operand), Query::Or)
    }

    fn conjunction(&mut self, operand: Operand<'_, 'a>) -> Option<Query> {
        let mut operand = |parser: &mut Parser<'a>| parser.whole(&mut |parser| parser.negation(operand));
        self.chain("and", &mut operand, Query::And)
    }

    fn chain(&mut self, keyword: &str, operand: Operand<'_, 'a>, combine: fn(Vec<Query>) -> Query) -> Option<Query> {
        let open = self.open;
        let first = operand(self).or_else(|| self.recover(open))?;
        let mut operands = vec![first];
        while self.take_keyword(keyword) {
            let most = self.limits.list_length;
            if operands.len() == most {
                return self.give_up(Code::ListTooLong, format!("the list has more than {most} values"));
            }
            operands.push(operand(self).or_else(|| self.recover(open))?);
        }
        if operands.len() == 1 {
            operands.pop()
        } else {
            Some(combine(operands))
        }
    }

    fn negation(&mut self, operand: Operand<'_, 'a>) -> Option<Query> {
        if !self.take_keyword("not") {
            return operand(self);
        }
        let negated = self.nested(&mut |parser| parser.negation(operand))?;
        Some(Query::Not(Box::new(negated)))
    }

    /// Runs `parse` one level deeper.
    fn nested(&mut self, parse: Operand<'_, 'a>) -> Option<Query> {
        let deepest = self.limits.nesting;
        if self.depth == deepest {
            return self.give_up(Code::Nesting, format!("the query nests deeper than {deepest} levels"));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// A condition, or a query in parentheses.
    fn clause(&mut self) -> Option<Query> {
        if self.take("(") {
            return self.parenthesised(&mut Parser::clause);
        }
        let field = self.literal("a field, a value or `(`")?;
        if self.take(":") {
            return self.value(&field);
        }
        for (symbol, order) in [
            ("<=", Order::LessOrEqual),
            (">=", Order::GreaterOrEqual),
            ("<", Order::Less),
            (">", Order::Greater),
        ] {
            if self.take(symbol) {
                let value = self.literal("a value")?;
                return Some(Query::Range { field, order, value });
            }
        }
        Some(Query::Is {
            field: None,
            any_of: vec![field],
        })
    }

    fn parenthesised(&mut self, operand: Operand<'_, 'a>) -> Option<Query> {
        self.open += 1;
        let inner = self.nested(&mut |parser| parser.disjunction(operand))?;
        if self.take(")") {
            self.open -= 1;
            Some(inner)
        } else {
            self.unexpected("`and`, `or` or `)`")
        }
    }

    /// What follows `field:`.
    fn value(&mut self, field: &Literal) -> Option<Query> {
        if self.peek() == Some('{') {
            return self.error(
                Code::NestedQuery,
                "queries of nested objects (`field:{..}`) are not supported",
            );
        }
        if self.take("(") {
            return self.parenthesised(&mut |parser| parser.value(field)).map(join_values);
        }
        let value = self.literal("a value or `(`")?;
        Some(Query::Is {
            field: Some(field.clone()),
            any_of: vec![value],
        })
    }

    fn literal(&mut self, wanted: &str) -> Option<Literal> {
        let quoted = self.take("\"");
        if !quoted
            && KEYWORDS
                .iter()
                .any(|keyword| Self::starts_with_keyword(self.rest(), keyword))
        {
            return self.unexpected(wanted);
        }
        let start = self.at;
        let symbols = if quoted {
            self.quoted_text(start)?
        } else {
            self.unquoted_text()?
        };
        if symbols.is_empty() && !quoted {
            return self.unexpected(wanted);
        }
        let span = Span::new(start, self.at);
        let most = self.limits.pattern_bytes;
        if self.at - start > most {
            let message = format!("the value is longer than {most} bytes");
            self.findings.add(span, Code::PatternTooLong, message);
            return None;
        }
        let reading = if quoted { Reading::Phrase } else { Reading::AnyWord };
        Some(Literal { symbols, reading, span })
    }

    /// The text up to the closing quote, whose opening one has been taken.
    fn quoted_text(&mut self, start: usize) -> Option<Vec<Symbol>> {
        let mut symbols = Vec::new();
        while let Some(character) = self.rest().chars().next() {
            let character = match character {
                '"' => {
                    self.at += 1;
                    return Some(symbols);
                }
                '\\' => self.escape(|escaped| matches!(escaped, '\\' | '"'))?,
                other => {
                    self.at += other.len_utf8();
                    other
                }
            };
            symbols.push(Symbol::Character(character));
        }
        self.findings.add(
            Span::new(start - 1, start),
            Code::UnclosedText,
            "the text has no closing `\"`",
        );
        None
    }

    /// A value ends at a special character, or at blanks that a keyword or a special character follows.
    fn unquoted_text(&mut self) -> Option<Vec<Symbol>> {
        let mut symbols = Vec::new();
        while let Some(character) = self.rest().chars().next() {
            let symbol = match character {
                '*' => Symbol::AnyRun,
                '\\' => {
                    let escaped = self.escape(|escaped| SPECIAL.contains(&escaped))?;
                    symbols.push(Symbol::Character(escaped));
                    continue;
                }
                special if SPECIAL.contains(&special) => break,
                blank if blank.is_whitespace() => {
                    let following = self.rest().trim_start();
                    let ends = following.is_empty()
                        || following.starts_with(|next| SPECIAL.contains(&next) && !matches!(next, '*' | '\\'))
                        || KEYWORDS
                            .iter()
                            .any(|keyword| Self::starts_with_keyword(following, keyword));
                    if ends {
                        break;
                    }
                    Symbol::Character(blank)
                }
                other => Symbol::Character(other),
            };
            symbols.push(symbol);
            self.at += character.len_utf8();
        }
        Some(symbols)
    }

    /// What a backslash and the following characters stand for.
    fn escape(&mut self, special: fn(char) -> bool) -> Option<char> {
        let start = self.at;
        self.at += 1;
        let escaped = self.rest().chars().next();
        match escaped {
            Some('u') if self.rest().get(1..5).and_then(unicode).is_some() => {
                let character = self.rest().get(1..5).and_then(unicode)?;
                self.at += 5;
                return Some(character);
            }
            // `\and` is the word, not the keyword; the backslash alone goes.
            Some(first) if KEYWORDS.iter().any(|word| Self::starts_with_keyword(self.rest(), word)) => {
                self.at += 1;
                return Some(first);
            }
            _ => {}
        }
        let character = match escaped {
            Some('t') => Some('\t'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some(escaped) if special(escaped) => Some(escaped),
            _ => None,
        };
        match character {
            Some(_) => self.at += 1,
            // A backslash before anything else is a character like others.
            None if self.at < self.text.len() => return Some('\\'),
            None => {
                self.findings.add(
                    Span::new(start, self.at),
                    Code::Syntax,
                    "a backslash at the end escapes nothing",
                );
            }
        }
        character
    }
}

fn unicode(digits: &str) -> Option<char> {
    u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)
}

/// `f:a or f:b` as one test of `f`.
fn join_values(query: Query) -> Query {
    let Query::Or(alternatives) = query else { return query };
    let mut joined = Vec::new();
    let mut others = Vec::new();
    let mut shared = None;
    for alternative in alternatives {
        match alternative {
            Query::Is { field, any_of } => {
                joined.extend(any_of);
                shared = field;
            }
            other => others.push(other),
        }
    }
    if !joined.is_empty() {
        others.insert(
            0,
            Query::Is {
                field: shared,
                any_of: joined,
            },
        );
    }
    if others.len() == 1 {
        others.remove(0)
    } else {
        Query::Or(others)
    }
}
