//! EQL's syntax tree to the checked tree: fields exist, literals fit them. Notes every error, not only the first.

use super::syntax::{Comparison, EventQuery, Expression, ExpressionKind, Membership, Presence};
use crate::condition::{Condition, Number, Order, Pattern, Test};
use crate::diagnostic::{Findings, Span};
use crate::field_reference::{Case, FieldReference};
use crate::limits::MAX_PATTERN_BYTES;
use crate::regex::{self, Regex};
use crate::schema::{FieldType, fields};
use crate::timestamp;

pub(super) fn check(query: &EventQuery, findings: &mut Findings) -> Option<Condition> {
    let condition = Checker { findings }.condition(&query.condition)?;
    let Some(category) = &query.category else {
        return Some(condition);
    };
    let field = FieldReference {
        field: fields::EVENT_CATEGORY,
        key: None,
        case: Case::Sensitive,
    };
    let category = Condition::field(field, Test::TextIn(vec![category.clone()], Case::Sensitive));
    Some(Condition::All(vec![category, condition]))
}

struct Checker<'a> {
    findings: &'a mut Findings,
}

/// What a field operand is.
enum Operand {
    Known(FieldReference),
    /// `?f` of which the schema knows nothing: always missing.
    Unknown,
}

impl Checker<'_> {
    fn error<T>(&mut self, span: Span, code: &'static str, message: impl Into<String>) -> Option<T> {
        self.findings.error(span, code, message);
        None
    }

    fn condition(&mut self, expression: &Expression) -> Option<Condition> {
        match &expression.kind {
            ExpressionKind::And(operands) => self.conditions(operands).map(Condition::All),
            ExpressionKind::Or(operands) => self.conditions(operands).map(Condition::Any),
            ExpressionKind::Not(operand) => self.condition(operand).map(Condition::negate),
            ExpressionKind::Boolean(true) => Some(Condition::Always),
            ExpressionKind::Boolean(false) => Some(Condition::Never),
            ExpressionKind::Comparison { operator, left, right } => self.comparison(*operator, left, right),
            ExpressionKind::Membership {
                operand,
                kind,
                case,
                list,
            } => self.membership(operand, *kind, *case, list),
            ExpressionKind::Field { .. } => self.boolean(expression),
            ExpressionKind::Call { function } => self.unsupported_function(expression.span, function),
            ExpressionKind::Null | ExpressionKind::Number(_) | ExpressionKind::Text(_) => {
                self.error(expression.span, "not-a-condition", "a value alone is not a condition")
            }
        }
    }

    /// All are checked, so that the errors of all are noted.
    fn conditions(&mut self, operands: &[Expression]) -> Option<Vec<Condition>> {
        let checked: Vec<_> = operands.iter().map(|operand| self.condition(operand)).collect();
        checked.into_iter().collect()
    }

    fn unsupported_function<T>(&mut self, span: Span, function: &str) -> Option<T> {
        self.error(
            span,
            "unsupported-function",
            format!("the function `{function}` is not supported yet"),
        )
    }

    fn operand(&mut self, expression: &Expression) -> Option<Operand> {
        match &expression.kind {
            ExpressionKind::Field { name, presence } => match presence {
                Presence::Optional if FieldReference::resolve(name).is_none() => Some(Operand::Unknown),
                _ => FieldReference::check(name, expression.span, self.findings).map(Operand::Known),
            },
            ExpressionKind::Call { function } => self.unsupported_function(expression.span, function),
            _ => self.error(
                expression.span,
                "not-a-field",
                "expected a field on one side of the comparison",
            ),
        }
    }

    fn comparison(&mut self, operator: Comparison, left: &Expression, right: &Expression) -> Option<Condition> {
        let is_value = |side: &Expression| {
            matches!(
                side.kind,
                ExpressionKind::Null | ExpressionKind::Boolean(_) | ExpressionKind::Number(_) | ExpressionKind::Text(_)
            )
        };
        let (field, operator, value) = match (is_value(left), is_value(right)) {
            (false, true) => (left, operator, right),
            (true, false) => {
                let operator = match operator {
                    Comparison::Order(order) => Comparison::Order(order.exchanged()),
                    equality => equality,
                };
                (right, operator, left)
            }
            (true, true) => return self.error(left.span.to(right.span), "constant", "both sides are constant"),
            (false, false) => {
                let both = [self.operand(left), self.operand(right)];
                if both.iter().all(Option::is_some) {
                    let message = "a field cannot be compared with another field";
                    self.findings
                        .error(left.span.to(right.span), "field-comparison", message);
                }
                return None;
            }
        };
        let operand = self.operand(field)?;
        let test = match operator {
            Comparison::Equal | Comparison::NotEqual => self.equality(&operand, value)?,
            Comparison::Order(order) => self.order(&operand, order, value)?,
        };
        Some(if operator == Comparison::NotEqual {
            test.negate()
        } else {
            test
        })
    }

    /// `field == value`
    fn equality(&mut self, operand: &Operand, value: &Expression) -> Option<Condition> {
        if matches!(value.kind, ExpressionKind::Null) {
            return Some(match operand {
                Operand::Known(field) => Condition::field(field.clone(), Test::Exists).negate(),
                Operand::Unknown => Condition::Always,
            });
        }
        self.one_of(operand, std::slice::from_ref(value), Case::Sensitive)
    }

    /// Equal to one of the values, which must all fit the field.
    fn one_of(&mut self, operand: &Operand, values: &[Expression], case: Case) -> Option<Condition> {
        let Operand::Known(field) = operand else {
            return Some(Condition::Never);
        };
        let test = match field.value_type() {
            FieldType::Long | FieldType::Float => Test::NumberIn(self.each(field, values, Checker::number)?),
            FieldType::Date => Test::DateIn(self.each(field, values, Checker::date)?),
            FieldType::Boolean => {
                let truths = self.each(field, values, Checker::truth)?;
                let tests = truths
                    .into_iter()
                    .map(|truth| Condition::field(field.clone(), Test::Boolean(truth)));
                return Some(Condition::any(tests.collect()));
            }
            FieldType::Keyword | FieldType::Text | FieldType::Ip | FieldType::Object | FieldType::Group => {
                Test::TextIn(self.each(field, values, Checker::text)?, case.or(field.case))
            }
        };
        Some(Condition::field(field.clone(), test))
    }

    fn order(&mut self, operand: &Operand, order: Order, value: &Expression) -> Option<Condition> {
        let Operand::Known(field) = operand else {
            return Some(Condition::Never);
        };
        let test = match field.value_type() {
            FieldType::Long | FieldType::Float => Test::NumberOrder(order, self.number(field, value)?),
            FieldType::Date => Test::DateOrder(order, self.date(field, value)?),
            FieldType::Boolean => {
                return self.error(
                    value.span,
                    "type-mismatch",
                    format!("`{}` has no order: it is a boolean", field.name()),
                );
            }
            FieldType::Keyword | FieldType::Text | FieldType::Ip | FieldType::Object | FieldType::Group => {
                Test::TextOrder(order, self.text(field, value)?)
            }
        };
        Some(Condition::field(field.clone(), test))
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
        if kind == Membership::In {
            return self.one_of(&operand, list, case);
        }
        let Operand::Known(field) = &operand else {
            return Some(Condition::Never);
        };
        if !matches!(field.value_type(), FieldType::Keyword | FieldType::Text | FieldType::Ip) {
            let message = format!("`{}` is not a text, so it is like no pattern", field.name());
            return self.error(operand_span, "type-mismatch", message);
        }
        let case = case.or(field.case);
        let test = match kind {
            Membership::Regex => self.regex(field, case, list)?,
            Membership::In | Membership::Like => Test::Like(self.each(field, list, Checker::pattern)?, case),
        };
        Some(Condition::field(field.clone(), test))
    }

    fn regex(&mut self, field: &FieldReference, case: Case, list: &[Expression]) -> Option<Test> {
        let mut patterns = Vec::new();
        for (text, expression) in self.each(field, list, Checker::pattern_text)?.iter().zip(list) {
            match regex::parse(text, case) {
                Ok(pattern) => patterns.push(pattern),
                Err(message) => return self.error(expression.span, "regex", message),
            }
        }
        let regex = Regex::new(patterns);
        if regex.is_none() {
            let span = list.first().map_or(Span::default(), |first| first.span);
            return self.error(
                span,
                "regex-too-large",
                "the regular expression needs too large an automaton",
            );
        }
        regex.map(Test::Regex)
    }

    /// A boolean field alone: that it is true.
    fn boolean(&mut self, expression: &Expression) -> Option<Condition> {
        match self.operand(expression)? {
            Operand::Unknown => Some(Condition::Never),
            Operand::Known(field) if field.value_type() == FieldType::Boolean => {
                Some(Condition::field(field, Test::Boolean(true)))
            }
            Operand::Known(field) => {
                let message = format!("`{}` alone is not a condition: it is not a boolean", field.name());
                self.error(expression.span, "not-a-condition", message)
            }
        }
    }

    /// All are checked, so that the errors of all are noted.
    fn each<T>(
        &mut self,
        field: &FieldReference,
        values: &[Expression],
        check: fn(&mut Self, &FieldReference, &Expression) -> Option<T>,
    ) -> Option<Vec<T>> {
        let checked: Vec<_> = values.iter().map(|value| check(self, field, value)).collect();
        checked.into_iter().collect()
    }

    fn mismatch<T>(&mut self, field: &FieldReference, value: &Expression, wanted: &str) -> Option<T> {
        self.error(
            value.span,
            "type-mismatch",
            format!("`{}` is compared with {wanted}", field.name()),
        )
    }

    fn text(&mut self, field: &FieldReference, value: &Expression) -> Option<String> {
        match &value.kind {
            ExpressionKind::Text(text) => Some(text.clone()),
            _ => self.mismatch(field, value, "a text in double quotes"),
        }
    }

    fn pattern(&mut self, field: &FieldReference, value: &Expression) -> Option<Pattern> {
        self.pattern_text(field, value).map(|text| Pattern::from_like(&text))
    }

    fn pattern_text(&mut self, field: &FieldReference, value: &Expression) -> Option<String> {
        let text = self.text(field, value)?;
        if text.len() > MAX_PATTERN_BYTES {
            let message = format!("the pattern is longer than {MAX_PATTERN_BYTES} bytes");
            return self.error(value.span, "pattern-too-long", message);
        }
        Some(text)
    }

    fn number(&mut self, field: &FieldReference, value: &Expression) -> Option<Number> {
        match &value.kind {
            ExpressionKind::Number(number) => Some(*number),
            _ => self.mismatch(field, value, "a number"),
        }
    }

    fn truth(&mut self, field: &FieldReference, value: &Expression) -> Option<bool> {
        match &value.kind {
            ExpressionKind::Boolean(truth) => Some(*truth),
            _ => self.mismatch(field, value, "`true` or `false`"),
        }
    }

    fn date(&mut self, field: &FieldReference, value: &Expression) -> Option<i64> {
        let date = match &value.kind {
            ExpressionKind::Text(text) => timestamp::parse(text),
            _ => None,
        };
        if date.is_none() {
            return self.mismatch(field, value, "a date such as `\"2026-01-31T10:00:00Z\"`");
        }
        date
    }
}
