//! EQL's grammar: tokens to syntax tree. After an error, parsing resumes at the next `and`, `or` or closing
//! parenthesis. Where that would be guesswork it stops, and only looks for unknown fields in the rest.

use super::super::ParseOptions;
use super::lexer::{Keyword, Token};
use super::syntax::{Comparison, EventQuery, Expression, ExpressionKind, Membership, Presence, Query};
use crate::condition::functions::{Computed, Function};
use crate::diagnostic::{Code, Findings, Span};
use crate::value::{Case, Number, Order};

mod recovery;
mod sequence;

pub(super) fn parse(
    options: &ParseOptions,
    tokens: Vec<(Token, Span)>,
    length: usize,
    findings: &mut Findings,
) -> Option<Query> {
    let mut parser = Parser {
        options,
        brackets: recovery::brackets(&tokens),
        tokens,
        next: 0,
        end: Span::new(length, length),
        depth: 0,
        end_of_condition: END_OF_QUERY,
        findings,
    };
    let query = parser.whole_query();
    if query.is_none() {
        parser.skip_to(parser.tokens.len());
    }
    query
}

/// What the function gives for two numbers: a number is a constant, whichever way it is written.
fn of_constants(function: &str, left: &Expression, right: &Expression) -> Option<ExpressionKind> {
    let number = |side: &Expression| match side.kind {
        ExpressionKind::Number(number) => Some(Computed::Number(number)),
        _ => None,
    };
    match Function::by_name(function)?.apply(Case::Sensitive, &[number(left)?, number(right)?]) {
        Computed::Number(number) => Some(ExpressionKind::Number(number)),
        _ => None,
    }
}

/// A token in a message, cut where it is long.
fn quoted(token: &Token) -> String {
    let text: String = token.to_string().chars().take(MAX_QUOTED_CHARACTERS).collect();
    format!("`{text}`")
}

const END_OF_QUERY: &str = "the end of the query";
/// Characters of a token in a message.
const MAX_QUOTED_CHARACTERS: usize = 60;

struct Parser<'a> {
    options: &'a ParseOptions,
    tokens: Vec<(Token, Span)>,
    next: usize,
    /// Where an error at the end of the query is placed.
    end: Span,
    depth: usize,
    /// See [`recovery::brackets`]. `None` also after an error from which the parser cannot recover.
    brackets: Option<Vec<usize>>,
    /// What ends the condition that is being read, as messages call it.
    end_of_condition: &'static str,
    findings: &'a mut Findings,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn span(&self) -> Span {
        self.tokens.get(self.next).map_or(self.end, |(_, span)| *span)
    }

    /// The span of the token before the next one.
    fn last_span(&self) -> Span {
        self.tokens
            .get(self.next.wrapping_sub(1))
            .map_or(Span::default(), |(_, span)| *span)
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(next)) if *next == symbol);
        self.next += usize::from(found);
        found
    }

    fn take_keyword(&mut self, keyword: Keyword) -> bool {
        let found = self.peek() == Some(&Token::Keyword(keyword));
        self.next += usize::from(found);
        found
    }

    fn error<T>(&mut self, code: Code, message: impl Into<String>) -> Option<T> {
        let span = self.span();
        self.findings.add(span, code, message);
        None
    }

    fn unexpected<T>(&mut self, wanted: &str) -> Option<T> {
        if self.peek() == Some(&Token::Symbol("=")) {
            let span = self.span();
            self.findings
                .add(span, Code::SingleEquals, "a single `=` is no operator")
                .help("write `==`");
            return None;
        }
        let span = self.span();
        let found = match self.peek() {
            None => "the end of the query".to_owned(),
            Some(token) => quoted(token),
        };
        let keyword = match self.peek() {
            Some(Token::Name(name)) => Keyword::misspelled(name),
            _ => None,
        };
        let finding = self
            .findings
            .add(span, Code::Syntax, format!("expected {wanted}, found {found}"));
        if let Some(keyword) = keyword {
            finding.help(format!("keywords are written in small letters: `{keyword}`"));
        }
        None
    }

    fn whole_query(&mut self) -> Option<Query> {
        let query = self.query()?;
        match self.peek() {
            None => Some(query),
            Some(Token::Symbol("|")) => self.error(Code::Pipe, "pipes have no meaning on an endless stream of events"),
            Some(_) => self.unexpected(&format!("`and`, `or` or {END_OF_QUERY}")),
        }
    }

    fn query(&mut self) -> Option<Query> {
        if self.peek() == Some(&Token::Keyword(Keyword::Sequence)) {
            return self.sequence().map(Query::Sequence);
        }
        self.event_query(END_OF_QUERY).map(Query::Event)
    }

    /// `end` is what follows it, in the words of a message.
    fn event_query(&mut self, end: &'static str) -> Option<EventQuery> {
        let category_span = self.span();
        let category = match self.peek() {
            Some(Token::Keyword(Keyword::Any)) => None,
            Some(Token::Name(name) | Token::Text(name)) => Some(name.clone()),
            Some(Token::Keyword(Keyword::Sample)) => {
                return self.error(Code::Sample, "`sample` has no meaning on an endless stream of events");
            }
            _ => return self.unexpected("an event category or `any`"),
        };
        self.next += 1;
        if !self.take_keyword(Keyword::Where) {
            return self.unexpected("`where`");
        }
        Some(EventQuery {
            category,
            category_span,
            condition: self.condition(end)?,
        })
    }

    /// What stands before `end`, which is only looked for.
    fn condition(&mut self, end: &'static str) -> Option<Expression> {
        let outer = std::mem::replace(&mut self.end_of_condition, end);
        let condition = self.disjunction();
        self.end_of_condition = outer;
        condition
    }

    fn parenthesised(&mut self) -> Option<Expression> {
        self.condition("`)`")
    }

    fn disjunction(&mut self) -> Option<Expression> {
        self.chain(Keyword::Or, Parser::conjunction, ExpressionKind::Or)
    }

    fn conjunction(&mut self) -> Option<Expression> {
        self.chain(Keyword::And, Parser::operand, ExpressionKind::And)
    }

    fn operand(&mut self) -> Option<Expression> {
        let operand = self.negation()?;
        match self.peek() {
            None | Some(Token::Keyword(Keyword::And | Keyword::Or) | Token::Symbol(")" | "]" | "|")) => Some(operand),
            _ => self.unexpected(&format!("`and`, `or` or {}", self.end_of_condition)),
        }
    }

    fn chain(
        &mut self,
        keyword: Keyword,
        operand: fn(&mut Self) -> Option<Expression>,
        combine: fn(Vec<Expression>) -> ExpressionKind,
    ) -> Option<Expression> {
        let depth = self.bracket_depth();
        let first = operand(self).or_else(|| self.recover(depth))?;
        let start = first.span;
        let mut operands = vec![first];
        while self.take_connective(keyword) {
            operands.push(operand(self).or_else(|| self.recover(depth))?);
        }
        if operands.len() == 1 {
            return operands.pop();
        }
        Some(Expression {
            kind: combine(operands),
            span: start.to(self.last_span()),
        })
    }

    /// `and` or `or`, also in capital letters, which has been noted then.
    fn take_connective(&mut self, keyword: Keyword) -> bool {
        let found = self
            .peek()
            .is_some_and(|token| recovery::connective(token) == Some(keyword));
        self.next += usize::from(found);
        found
    }

    fn negation(&mut self) -> Option<Expression> {
        let start = self.span();
        if !self.take_keyword(Keyword::Not) {
            return self.comparison();
        }
        let operand = self.nested(Parser::negation)?;
        Some(Expression {
            span: start.to(operand.span),
            kind: ExpressionKind::Not(Box::new(operand)),
        })
    }

    /// Runs `parse` one level deeper.
    fn nested<T>(&mut self, parse: fn(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth == self.options.limits().nesting {
            return self.too_deep();
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn too_deep<T>(&mut self) -> Option<T> {
        let deepest = self.options.limits().nesting;
        self.give_up(Code::Nesting, format!("the query nests deeper than {deepest} levels"))
    }

    fn comparison(&mut self) -> Option<Expression> {
        let left = self.sum()?;
        let operator = match self.peek() {
            Some(Token::Symbol("==")) => Comparison::Equal,
            Some(Token::Symbol("!=")) => Comparison::NotEqual,
            Some(Token::Symbol("<")) => Comparison::Order(Order::Less),
            Some(Token::Symbol("<=")) => Comparison::Order(Order::LessOrEqual),
            Some(Token::Symbol(">")) => Comparison::Order(Order::Greater),
            Some(Token::Symbol(">=")) => Comparison::Order(Order::GreaterOrEqual),
            _ => return self.membership(left),
        };
        self.next += 1;
        let right = self.sum()?;
        let span = left.span.to(right.span);
        let kind = ExpressionKind::Comparison {
            operator,
            left: Box::new(left),
            right: Box::new(right),
        };
        Some(Expression { kind, span })
    }

    fn sum(&mut self) -> Option<Expression> {
        self.arithmetic(&[("+", "add"), ("-", "subtract")], Parser::product)
    }

    fn product(&mut self) -> Option<Expression> {
        let operators = [("*", "multiply"), ("/", "divide"), ("%", "modulo")];
        self.arithmetic(&operators, Parser::primary)
    }

    /// Operators are another way to write functions. As many in a row as a list may be long.
    fn arithmetic(
        &mut self,
        operators: &[(&str, &str)],
        operand: fn(&mut Self) -> Option<Expression>,
    ) -> Option<Expression> {
        let mut left = operand(self)?;
        let mut depth = 0;
        while let Some((_, function)) = operators.iter().find(|(symbol, _)| self.take_symbol(symbol)) {
            depth += 1;
            if self.depth + depth > self.options.limits().nesting {
                return self.too_deep();
            }
            let right = operand(self)?;
            left = Expression {
                span: left.span.to(right.span),
                kind: of_constants(function, &left, &right).unwrap_or_else(|| ExpressionKind::Call {
                    function: (*function).to_owned(),
                    case: Case::Sensitive,
                    arguments: vec![left, right],
                }),
            };
        }
        Some(left)
    }

    fn membership(&mut self, left: Expression) -> Option<Expression> {
        let negated = self.peek() == Some(&Token::Keyword(Keyword::Not));
        let operator = self
            .tokens
            .get(self.next + usize::from(negated))
            .map(|(token, _)| token);
        let (kind, case) = match operator {
            Some(Token::Symbol(":")) if !negated => (Membership::Like, Case::Insensitive),
            Some(Token::Keyword(Keyword::In)) => (Membership::In, Case::Sensitive),
            Some(Token::Keyword(Keyword::InInsensitive)) => (Membership::In, Case::Insensitive),
            Some(Token::Keyword(Keyword::Like)) => (Membership::Like, Case::Sensitive),
            Some(Token::Keyword(Keyword::LikeInsensitive)) => (Membership::Like, Case::Insensitive),
            Some(Token::Keyword(Keyword::Regex)) => (Membership::Regex, Case::Sensitive),
            Some(Token::Keyword(Keyword::RegexInsensitive)) => (Membership::Regex, Case::Insensitive),
            _ => return Some(left),
        };
        self.next += 1 + usize::from(negated);
        let list = match kind {
            Membership::In if self.peek() != Some(&Token::Symbol("(")) => return self.unexpected("`(` and a list"),
            _ => self.values()?,
        };
        let span = left.span.to(self.last_span());
        let kind = ExpressionKind::Membership {
            operand: Box::new(left),
            kind,
            case,
            list,
        };
        let membership = Expression { kind, span };
        if negated {
            return Some(Expression {
                kind: ExpressionKind::Not(Box::new(membership)),
                span,
            });
        }
        Some(membership)
    }

    /// A list in parentheses, or one value.
    fn values(&mut self) -> Option<Vec<Expression>> {
        if !self.take_symbol("(") {
            return Some(vec![self.sum()?]);
        }
        let mut values = Vec::new();
        loop {
            let most = self.options.limits().list_length;
            if values.len() == most {
                return self.give_up(Code::ListTooLong, format!("the list has more than {most} values"));
            }
            values.push(self.sum()?);
            if self.take_symbol(")") {
                return Some(values);
            }
            if !self.take_symbol(",") {
                return self.unexpected("`,` or `)`");
            }
        }
    }

    fn primary(&mut self) -> Option<Expression> {
        let start = self.span();
        let kind = match self.peek().cloned() {
            Some(Token::Symbol("(")) => {
                self.next += 1;
                let inner = self.nested(Parser::parenthesised)?;
                if !self.take_symbol(")") {
                    return self.unexpected("`and`, `or` or `)`");
                }
                return Some(Expression {
                    kind: inner.kind,
                    span: start.to(self.last_span()),
                });
            }
            Some(Token::Symbol("?")) => {
                self.next += 1;
                let Some(Token::Name(name)) = self.peek().cloned() else {
                    return self.unexpected("a field after `?`");
                };
                ExpressionKind::Field {
                    name,
                    presence: Presence::Optional,
                }
            }
            Some(Token::Symbol("-")) => {
                self.next += 1;
                match self.peek() {
                    Some(Token::Number(Number::Long(number))) => ExpressionKind::Number(Number::Long(-number)),
                    Some(Token::Number(Number::Float(number))) => ExpressionKind::Number(Number::Float(-number)),
                    _ => return self.negative(start),
                }
            }
            Some(Token::Name(name)) => {
                if matches!(self.tokens.get(self.next + 1), Some((Token::Symbol("("), _))) {
                    return self.call(name, Case::Sensitive);
                }
                ExpressionKind::Field {
                    name,
                    presence: Presence::Required,
                }
            }
            Some(Token::TildeName(name)) => return self.call(name, Case::Insensitive),
            Some(Token::Text(text)) => ExpressionKind::Text(text),
            Some(Token::Number(number)) => ExpressionKind::Number(number),
            Some(Token::Keyword(Keyword::True)) => ExpressionKind::Boolean(true),
            Some(Token::Keyword(Keyword::False)) => ExpressionKind::Boolean(false),
            Some(Token::Keyword(Keyword::Null)) => ExpressionKind::Null,
            _ => return self.unexpected("a field, a value or `(`"),
        };
        self.next += 1;
        Some(Expression {
            kind,
            span: start.to(self.last_span()),
        })
    }

    /// `-x`, which is another way to write `0 - x`.
    fn negative(&mut self, start: Span) -> Option<Expression> {
        let operand = self.nested(Parser::primary)?;
        let zero = Expression {
            kind: ExpressionKind::Number(Number::Long(0)),
            span: start,
        };
        Some(Expression {
            span: start.to(operand.span),
            kind: ExpressionKind::Call {
                function: "subtract".to_owned(),
                case: Case::Sensitive,
                arguments: vec![zero, operand],
            },
        })
    }

    fn call(&mut self, function: String, case: Case) -> Option<Expression> {
        let start = self.span();
        self.next += 1;
        if self.peek() != Some(&Token::Symbol("(")) {
            return self.unexpected("`(`");
        }
        let is_empty = matches!(self.tokens.get(self.next + 1), Some((Token::Symbol(")"), _)));
        let arguments = if is_empty {
            self.next += 2;
            Vec::new()
        } else {
            self.nested(Parser::values)?
        };
        let kind = ExpressionKind::Call {
            function,
            case,
            arguments,
        };
        Some(Expression {
            kind,
            span: start.to(self.last_span()),
        })
    }
}
