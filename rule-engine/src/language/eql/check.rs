//! EQL's syntax tree to the checked tree: fields exist, literals fit them. Reports every error, not only the first.

use checker::Checker;
use operand::Operand;

use super::super::ParseOptions;
use super::syntax::{EventQuery, Expression, ExpressionKind, Membership, Query};
use crate::analysis::satisfiable::AnalyzedCondition;
use crate::condition::{Condition, Detection, Test, Then};
use crate::diagnostic::{Code, Findings, Span};
use crate::schema::{FieldReference, FieldType};
use crate::value::Case;
use crate::value::regex::{self, Regex};

mod checker;
mod comparison;
mod literal;
mod operand;
mod sequence;

pub(super) fn check(
    options: &ParseOptions,
    category: &FieldReference,
    query: &Query,
    findings: &mut Findings,
) -> Option<Detection> {
    let mut checker = Checker {
        options,
        category,
        findings,
    };
    match query {
        Query::Event(query) => {
            let condition = checker.event(query)?.whole(checker.findings);
            Some(Detection::Single {
                condition,
                then: Then::Alert,
            })
        }
        Query::Sequence(query) => checker.sequence(query).map(Detection::Sequence),
    }
}

impl Checker<'_> {
    fn event(&mut self, query: &EventQuery) -> Option<AnalyzedCondition> {
        let condition = self.condition(&query.condition)?;
        let Some(category) = &query.category else {
            return Some(condition);
        };
        let category = Condition::field(
            self.category.clone(),
            Test::TextIn(vec![category.clone()], self.category.case),
        );
        let category = AnalyzedCondition::leaf(self.options.producer(), category, query.category_span);
        let parts = vec![category, condition];
        Some(AnalyzedCondition::all(parts, query.condition.span))
    }

    fn condition(&mut self, expression: &Expression) -> Option<AnalyzedCondition> {
        let span = expression.span;
        match &expression.kind {
            ExpressionKind::And(operands) => self
                .conditions(operands)
                .map(|parts| AnalyzedCondition::all(parts, span)),
            ExpressionKind::Or(operands) => {
                let parts = self.conditions(operands)?;
                Some(AnalyzedCondition::any(parts, self.findings))
            }
            ExpressionKind::Not(operand) => self.condition(operand).map(AnalyzedCondition::negate),
            ExpressionKind::Comparison { operator, left, right } => self.comparison(*operator, left, right),
            _ => {
                let condition = self.test(expression)?;
                Some(AnalyzedCondition::leaf(self.options.producer(), condition, span))
            }
        }
    }

    /// A condition that no other is part of.
    fn test(&mut self, expression: &Expression) -> Option<Condition> {
        match &expression.kind {
            ExpressionKind::Boolean(true) => Some(Condition::Always),
            ExpressionKind::Boolean(false) => Some(Condition::Never),
            ExpressionKind::Membership {
                operand,
                kind,
                case,
                list,
            } => self.membership(operand, *kind, *case, list),
            ExpressionKind::Field { .. } => self.boolean(expression),
            ExpressionKind::Call {
                function,
                case,
                arguments,
            } => self.call_condition(expression, function, *case, arguments),
            ExpressionKind::Broken => None,
            ExpressionKind::And(_)
            | ExpressionKind::Or(_)
            | ExpressionKind::Not(_)
            | ExpressionKind::Comparison { .. }
            | ExpressionKind::Null
            | ExpressionKind::Number(_)
            | ExpressionKind::Text(_) => {
                self.error(expression.span, Code::NotACondition, "a value alone is not a condition")
            }
        }
    }

    /// All are checked, so that the errors of all are reported.
    fn conditions(&mut self, operands: &[Expression]) -> Option<Vec<AnalyzedCondition>> {
        let checked: Vec<_> = operands.iter().map(|operand| self.condition(operand)).collect();
        checked.into_iter().collect()
    }

    fn membership(
        &mut self,
        operand: &Expression,
        kind: Membership,
        case: Case,
        list: &[Expression],
    ) -> Option<Condition> {
        let operand_span = operand.span;
        let operand = self.operand(operand)?;
        let list = self.constants(list)?;
        if kind == Membership::In {
            return self.one_of(&operand, &list, case);
        }
        if list.is_empty() {
            return Some(Condition::Never);
        }
        if !matches!(operand.value_type, FieldType::Keyword | FieldType::Text | FieldType::Ip) {
            let message = format!("`{}` is not a text, so it is like no pattern", operand.name);
            return self.error(operand_span, Code::TypeMismatch, message);
        }
        let case = case.or(operand.case);
        let test = match kind {
            Membership::Regex => self.regex(&operand, case, &list)?,
            Membership::In | Membership::Like if operand.value_type == FieldType::Ip => {
                return self.like_addresses(&operand, &list);
            }
            Membership::In | Membership::Like => Test::Like(self.each(&operand, &list, Checker::pattern)?, case),
        };
        Some(operand.condition(test))
    }

    /// Patterns with wildcards are compared with the one spelling of an address, the others are addresses.
    fn like_addresses(&mut self, operand: &Operand, list: &[Expression]) -> Option<Condition> {
        let (mut patterns, mut networks) = (Vec::new(), Vec::new());
        for value in list {
            let pattern = self.pattern(operand, value)?;
            match pattern.exact_text() {
                None => patterns.push(pattern),
                Some(_) => networks.push(self.network(operand, value)?),
            }
        }
        let within = (!networks.is_empty()).then_some(Test::Within(networks));
        let like = (!patterns.is_empty()).then_some(Test::Like(patterns, Case::Insensitive));
        let tests = within.into_iter().chain(like);
        Some(Condition::any(tests.map(|test| operand.condition(test)).collect()))
    }

    fn regex(&mut self, operand: &Operand, case: Case, list: &[Expression]) -> Option<Test> {
        let mut patterns = Vec::new();
        for (text, expression) in self.each(operand, list, Checker::pattern_text)?.iter().zip(list) {
            match regex::parse(self.options.limits(), text, case) {
                Ok(pattern) => patterns.push(pattern),
                Err(message) => return self.error(expression.span, Code::Regex, message),
            }
        }
        let regex = Regex::new(self.options.limits(), patterns);
        if regex.is_none() {
            let span = list.first().map_or(Span::default(), |first| first.span);
            return self.error(
                span,
                Code::RegexTooLarge,
                "the regular expression needs too large an automaton",
            );
        }
        regex.map(Test::Regex)
    }

    /// A boolean field alone: that it is true.
    fn boolean(&mut self, expression: &Expression) -> Option<Condition> {
        let operand = self.operand(expression)?.typed(FieldType::Boolean);
        if operand.value_type != FieldType::Boolean {
            let message = format!("`{}` alone is not a condition: it is not a boolean", operand.name);
            return self.error(expression.span, Code::NotACondition, message);
        }
        Some(operand.condition(Test::Boolean(true)))
    }
}
