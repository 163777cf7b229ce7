//! The grammar of sequences. Their words (`by`, `with`, `maxspan`, `runs`, `until`) are names everywhere else.

use super::super::lexer::Token;
use super::super::syntax::{Expression, ExpressionKind, Occurrence, SequenceQuery, TermSyntax};
use super::Parser;
use crate::diagnostic::Code;
use crate::value::{Number, duration};

impl Parser<'_> {
    pub(super) fn sequence(&mut self) -> Option<SequenceQuery> {
        let span = self.span();
        self.next += 1;
        let by = self.keys()?;
        let max_span_ns = if self.take_word("with") {
            Some(self.max_span()?)
        } else {
            None
        };
        if max_span_ns.is_some() && by.is_empty() && self.take_word("by") {
            return self.error(Code::Syntax, "`by` stands before `with maxspan=T`");
        }
        let mut terms = Vec::new();
        let mut stages = 0;
        while self.starts_term() {
            let term = self.term()?;
            if term.occurrence == Occurrence::Missing && max_span_ns.is_none() {
                return self.error(
                    Code::MissingWithoutMaxspan,
                    "a missing event (`![..]`) needs `with maxspan=T`",
                );
            }
            stages += match term.occurrence {
                Occurrence::Present(runs) => runs,
                Occurrence::Missing => 1,
            };
            terms.push(term);
            let most = self.options.limits().sequence_events;
            if stages > most {
                return self.error(
                    Code::SequenceTooLong,
                    format!("the sequence has more than {most} events"),
                );
            }
        }
        let until = if self.take_word("until") {
            if self.peek() == Some(&Token::Symbol("!")) {
                return self.error(Code::Syntax, "the event behind `until` cannot be a missing one");
            }
            let until = self.term()?;
            if until.occurrence != Occurrence::Present(1) {
                return self.error(
                    Code::Syntax,
                    "the event behind `until` ends a sequence when it comes once: it has no `runs`",
                );
            }
            Some(until)
        } else {
            None
        };
        if stages < 2 {
            return self.error(Code::Syntax, "a sequence needs at least two events");
        }
        if terms.iter().all(|term| term.occurrence == Occurrence::Missing) {
            return self.error(Code::Syntax, "a sequence needs an event that is not missing");
        }
        Some(SequenceQuery {
            span,
            by,
            max_span_ns,
            terms,
            until,
        })
    }

    fn starts_term(&self) -> bool {
        matches!(self.peek(), Some(Token::Symbol("[" | "!")))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(name)) if name == word);
        self.next += usize::from(found);
        found
    }

    fn assigned(&mut self, word: &str) -> Option<Number> {
        if !self.take_word(word) || !self.take_symbol("=") {
            return self.unexpected(&format!("`{word}=`"));
        }
        match self.peek() {
            Some(Token::Number(number)) => {
                let number = *number;
                self.next += 1;
                Some(number)
            }
            _ => self.unexpected("a number"),
        }
    }

    /// `maxspan=5s`, in nanoseconds.
    fn max_span(&mut self) -> Option<i64> {
        let number = self.assigned("maxspan")?;
        let span = match (number, self.peek()) {
            (Number::Long(number), Some(Token::Name(unit))) => duration::of_eql_ns(number, unit),
            _ => None,
        };
        match span {
            Some(span) if span > 0 => {
                self.next += 1;
                Some(span)
            }
            _ => self.error(
                Code::Syntax,
                "`maxspan` is a whole number with `ms`, `s`, `m`, `h` or `d`",
            ),
        }
    }

    fn term(&mut self) -> Option<TermSyntax> {
        let is_missing = self.take_symbol("!");
        if !self.take_symbol("[") {
            return self.unexpected("`[`");
        }
        let event = self.event_query("`]`")?;
        if !self.take_symbol("]") {
            return self.unexpected("`and`, `or` or `]`");
        }
        let by = self.keys()?;
        let occurrence = if is_missing {
            Occurrence::Missing
        } else if self.take_word("with") {
            Occurrence::Present(self.runs()?)
        } else {
            Occurrence::Present(1)
        };
        Some(TermSyntax { event, by, occurrence })
    }

    fn runs(&mut self) -> Option<usize> {
        let most = self.options.limits().sequence_runs;
        match self.assigned("runs")? {
            Number::Long(runs) if (1..=most as i64).contains(&runs) => Some(runs as usize),
            _ => self.error(Code::Syntax, format!("`runs` is a whole number from 1 to {most}")),
        }
    }

    /// `by KEY, KEY`, or nothing.
    fn keys(&mut self) -> Option<Vec<Expression>> {
        let mut keys = Vec::new();
        if !self.take_word("by") {
            return Some(keys);
        }
        loop {
            let key = self.primary()?;
            if !matches!(key.kind, ExpressionKind::Field { .. }) {
                self.findings
                    .add(key.span, Code::NotAField, "a key of a sequence is a field");
                return None;
            }
            keys.push(key);
            if !self.take_symbol(",") {
                return Some(keys);
            }
        }
    }
}
