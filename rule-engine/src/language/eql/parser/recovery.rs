//! How the parser resumes after an error.

use super::super::lexer::{Keyword, Token};
use super::super::syntax::{Expression, ExpressionKind};
use super::Parser;
use crate::diagnostic::{Code, Span};
use crate::schema::FieldReference;

/// In how many brackets each token stands, the brackets themselves not counted; `None` if they are not balanced.
pub(super) fn brackets(tokens: &[(Token, Span)]) -> Option<Vec<usize>> {
    let mut open = Vec::new();
    let mut depths = Vec::with_capacity(tokens.len());
    for (token, _) in tokens {
        if let Token::Symbol(closing @ (")" | "]")) = token {
            let opening = if *closing == ")" { "(" } else { "[" };
            open.pop().filter(|open| *open == opening)?;
        }
        depths.push(open.len());
        if let Token::Symbol(opening @ ("(" | "[")) = token {
            open.push(*opening);
        }
    }
    open.is_empty().then_some(depths)
}

/// `and` or `or`, also in capital letters, which is an error.
pub(super) fn connective(token: &Token) -> Option<Keyword> {
    match token {
        Token::Keyword(keyword @ (Keyword::And | Keyword::Or)) => Some(*keyword),
        Token::Name(name) => match Keyword::misspelled(name) {
            Some("and") => Some(Keyword::And),
            Some("or") => Some(Keyword::Or),
            _ => None,
        },
        _ => None,
    }
}

impl Parser<'_> {
    /// Skips tokens that an error makes hard to understand. All that can be reported about them without guessing is
    /// which fields the schema does not know.
    pub(super) fn skip_to(&mut self, next: usize) {
        for pair in self.tokens[self.next..next].windows(2) {
            let [(before, _), (Token::Name(name), span)] = pair else {
                continue;
            };
            if name.contains('.') && *before != Token::Symbol("?") {
                FieldReference::check(self.options.schema(), name, *span, self.findings);
            }
        }
        self.next = next;
    }

    pub(super) fn bracket_depth(&self) -> usize {
        let depths = self.brackets.as_ref();
        depths
            .and_then(|depths| depths.get(self.next))
            .map_or(0, |depth| *depth)
    }

    /// Resumes after an error inside brackets of this depth or deeper: at the next `and` or `or` of the same depth, or
    /// where the brackets close.
    pub(super) fn recover(&mut self, depth: usize) -> Option<Expression> {
        let depths = self.brackets.as_ref()?;
        let is_joint = |token: &Token| connective(token).is_some() || *token == Token::Symbol("|");
        let after = (self.next..self.tokens.len())
            .find(|at| depths[*at] < depth || depths[*at] == depth && is_joint(&self.tokens[*at].0));
        self.skip_to(after.unwrap_or(self.tokens.len()));
        Some(Expression {
            kind: ExpressionKind::Broken,
            span: self.span(),
        })
    }

    /// An error from which the parser cannot recover.
    pub(super) fn give_up<T>(&mut self, code: Code, message: String) -> Option<T> {
        self.brackets = None;
        self.error(code, message)
    }
}
