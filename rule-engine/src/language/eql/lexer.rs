//! EQL's tokens.

use std::fmt;

use crate::diagnostic::{Code, Findings, Span};
use crate::value::Number;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token {
    /// A name or a dotted one; parts in backticks are already plain.
    Name(String),
    /// A name directly followed by `~`.
    TildeName(String),
    Keyword(Keyword),
    Text(String),
    Number(Number),
    Symbol(&'static str),
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Keyword {
    And,
    Any,
    False,
    In,
    InInsensitive,
    Like,
    LikeInsensitive,
    Not,
    Null,
    Or,
    Regex,
    RegexInsensitive,
    Sample,
    Sequence,
    True,
    Where,
}

/// As it was written, more or less.
impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Name(name) => formatter.write_str(name),
            Token::TildeName(name) => write!(formatter, "{name}~"),
            Token::Keyword(keyword) => formatter.write_str(keyword.name()),
            Token::Text(text) => write!(formatter, "\"{text}\""),
            Token::Number(Number::Long(number)) => number.fmt(formatter),
            Token::Number(Number::Float(number)) => number.fmt(formatter),
            Token::Symbol(symbol) => formatter.write_str(symbol),
        }
    }
}

const KEYWORDS: [(&str, Keyword); 16] = [
    ("and", Keyword::And),
    ("any", Keyword::Any),
    ("false", Keyword::False),
    ("in", Keyword::In),
    ("in~", Keyword::InInsensitive),
    ("like", Keyword::Like),
    ("like~", Keyword::LikeInsensitive),
    ("not", Keyword::Not),
    ("null", Keyword::Null),
    ("or", Keyword::Or),
    ("regex", Keyword::Regex),
    ("regex~", Keyword::RegexInsensitive),
    ("sample", Keyword::Sample),
    ("sequence", Keyword::Sequence),
    ("true", Keyword::True),
    ("where", Keyword::Where),
];

impl Keyword {
    /// `name` with the `~` after it, if there is one.
    fn from_name(name: &str) -> Option<Keyword> {
        KEYWORDS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, keyword)| *keyword)
    }

    fn name(self) -> &'static str {
        KEYWORDS
            .iter()
            .find(|(_, keyword)| *keyword == self)
            .map_or("", |(name, _)| name)
    }

    /// The keyword that is meant by a name whose letters are not all lower case.
    pub(super) fn misspelled(name: &str) -> Option<&'static str> {
        let meant = KEYWORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        meant.map(|(known, _)| *known).filter(|known| *known != name)
    }
}

/// Longer symbols before their beginnings.
const SYMBOLS: [&str; 21] = [
    "==", "=", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",", ":", "?", "!", "|", "-", "+", "*", "/", "%",
];

/// Splits the text; `None` after an error, of which several may be noted.
pub(super) fn tokens(text: &str, findings: &mut Findings) -> Option<Vec<(Token, Span)>> {
    let mut lexer = Lexer {
        text,
        at: 0,
        findings,
        failed: false,
    };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next_token() {
        tokens.push(token);
    }
    (!lexer.failed).then_some(tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    findings: &'a mut Findings,
    failed: bool,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn error(&mut self, span: Span, code: Code, message: &str, help: Option<&str>) {
        self.failed = true;
        let finding = self.findings.add(span, code, message);
        if let Some(help) = help {
            finding.help(help);
        }
    }

    fn next_token(&mut self) -> Option<(Token, Span)> {
        loop {
            self.skip_blanks();
            let start = self.at;
            let first = self.rest().chars().next()?;
            let token = match first {
                '"' if self.rest().starts_with("\"\"\"") => self.raw_text(),
                '"' => self.text(),
                '0'..='9' => self.number(),
                '.' if self.rest()[1..].starts_with(|next: char| next.is_ascii_digit()) => self.number(),
                'a'..='z' | 'A'..='Z' | '_' | '@' | '`' => self.name(),
                _ => self.symbol(first),
            };
            if let Some(token) = token {
                return Some((token, Span::new(start, self.at)));
            }
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            self.at = self.text.len() - self.rest().trim_start().len();
            if self.rest().starts_with("//") {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if self.rest().starts_with("/*") {
                match self.rest().find("*/") {
                    Some(end) => self.at += end + 2,
                    None => {
                        let span = Span::new(self.at, self.at + 2);
                        self.at = self.text.len();
                        self.error(span, Code::UnclosedComment, "the comment has no `*/`", None);
                    }
                }
            } else {
                return;
            }
        }
    }

    fn symbol(&mut self, first: char) -> Option<Token> {
        if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| self.rest().starts_with(symbol)) {
            self.at += symbol.len();
            return Some(Token::Symbol(symbol));
        }
        let span = Span::new(self.at, self.at + first.len_utf8());
        self.at = span.end as usize;
        match first {
            '\'' => {
                self.at += self.rest().find('\'').map_or(0, |end| end + 1);
                let help = Some("write texts in double quotes");
                self.error(span, Code::SingleQuotes, "single quotes do not enclose a text", help);
            }
            other => self.error(
                span,
                Code::UnexpectedCharacter,
                &format!("unexpected character `{other}`"),
                None,
            ),
        }
        None
    }

    fn raw_text(&mut self) -> Option<Token> {
        let start = self.at;
        let Some(end) = self.text[start + 3..].find("\"\"\"") else {
            self.at = self.text.len();
            self.error(
                Span::new(start, start + 3),
                Code::UnclosedText,
                "the text has no closing `\"\"\"`",
                None,
            );
            return None;
        };
        // A quote directly before the closing ones belongs to the text.
        let mut end = start + 3 + end;
        let extra = self.text[end + 3..]
            .bytes()
            .take(2)
            .take_while(|byte| *byte == b'"')
            .count();
        end += extra;
        self.at = end + 3;
        Some(Token::Text(self.text[start + 3..end].to_owned()))
    }

    fn text(&mut self) -> Option<Token> {
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        let mut sound = true;
        while let Some(character) = self.rest().chars().next() {
            let at = self.at;
            self.at += character.len_utf8();
            match character {
                '"' => return sound.then_some(Token::Text(value)),
                '\n' | '\r' => break,
                '\\' => match self.escape() {
                    Some(escaped) => value.push(escaped),
                    None => {
                        sound = false;
                        let help =
                            Some(r#"use `\\`, `\"`, `\n`, `\r`, `\t`, `\b`, `\f` or `\u{..}`, or a raw text in `"""`"#);
                        self.error(
                            Span::new(at, self.at),
                            Code::UnknownEscape,
                            "unknown escape in a text",
                            help,
                        );
                    }
                },
                other => value.push(other),
            }
        }
        self.error(
            Span::new(start, start + 1),
            Code::UnclosedText,
            "the text has no closing `\"`",
            None,
        );
        None
    }

    fn escape(&mut self) -> Option<char> {
        let escaped = self.rest().chars().next()?;
        if escaped == '\n' {
            return None;
        }
        self.at += escaped.len_utf8();
        match escaped {
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            '\\' | '"' | '\'' => Some(escaped),
            'u' => {
                let digits = self.rest().strip_prefix('{')?.split_once('}')?.0;
                let are_digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                let code_point = u32::from_str_radix(digits, 16).ok().filter(|_| are_digits);
                let character = code_point.and_then(char::from_u32)?;
                self.at += digits.len() + 2;
                Some(character)
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Token> {
        let start = self.at;
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        self.at += digits(self.rest());
        let mut float = false;
        if let Some(fraction) = self.rest().strip_prefix('.') {
            float = true;
            self.at += 1 + digits(fraction);
        }
        if let Some(exponent) = self.rest().strip_prefix(['e', 'E']) {
            let sign = usize::from(exponent.starts_with(['+', '-']));
            if digits(&exponent[sign..]) > 0 {
                float = true;
                self.at += 1 + sign + digits(&exponent[sign..]);
            }
        }
        let text = &self.text[start..self.at];
        let number = match float {
            false => text.parse().ok().map(Number::Long),
            true => text
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .map(Number::Float),
        };
        if number.is_none() {
            self.error(
                Span::new(start, self.at),
                Code::NumberTooLarge,
                "the number is too large",
                None,
            );
        }
        number.map(Token::Number)
    }

    fn name(&mut self) -> Option<Token> {
        let start = self.at;
        let mut name = String::new();
        let mut quoted = false;
        loop {
            if self.rest().starts_with('`') {
                quoted = true;
                self.quoted_part(&mut name)?;
            } else {
                let length = self
                    .rest()
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '@');
                let part = &self.text[self.at..self.at + length.unwrap_or(self.rest().len())];
                name.push_str(part);
                self.at += part.len();
            }
            let next = self.rest().strip_prefix('.').and_then(|rest| rest.chars().next());
            if !next.is_some_and(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | '@' | '`')) {
                break;
            }
            name.push('.');
            self.at += 1;
        }
        if quoted || self.text[start..self.at].contains('.') {
            return Some(Token::Name(name));
        }
        if self.rest().starts_with('~') {
            self.at += 1;
            return Some(match Keyword::from_name(&self.text[start..self.at]) {
                Some(keyword) => Token::Keyword(keyword),
                None => Token::TildeName(name),
            });
        }
        Some(match Keyword::from_name(&name) {
            Some(keyword) => Token::Keyword(keyword),
            None => Token::Name(name),
        })
    }

    /// A part of a name in backticks, in which a doubled backtick stands for one.
    fn quoted_part(&mut self, name: &mut String) -> Option<()> {
        let start = self.at;
        self.at += 1;
        while let Some(character) = self.rest().chars().next() {
            self.at += character.len_utf8();
            if character != '`' {
                name.push(character);
            } else if self.rest().starts_with('`') {
                name.push('`');
                self.at += 1;
            } else {
                return Some(());
            }
        }
        self.error(
            Span::new(start, start + 1),
            Code::UnclosedName,
            "the name has no closing backtick",
            None,
        );
        None
    }
}
