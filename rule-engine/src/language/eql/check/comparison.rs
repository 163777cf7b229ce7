//! Comparisons of what differs from event to event with what does not, and of conditions with `true` and `false`.

use super::super::syntax::{Comparison, Expression, ExpressionKind};
use super::checker::Checker;
use super::operand::Operand;
use crate::analysis::satisfiable::AnalyzedCondition;
use crate::condition::functions::{Function, Kind};
use crate::condition::{Condition, Test};
use crate::diagnostic::Code;
use crate::schema::FieldType;
use crate::value::{Case, Order};

/// A side of a comparison.
enum Side<'e> {
    Literal(&'e Expression),
    /// A function of constants, and its value.
    Constant(Operand, Expression),
    /// It differs from event to event.
    Varying(Operand),
}

impl Checker<'_> {
    pub(super) fn comparison(
        &mut self,
        operator: Comparison,
        left: &Expression,
        right: &Expression,
    ) -> Option<AnalyzedCondition> {
        let span = left.span.to(right.span);
        if left.is_condition_beside(right) {
            return self.of_condition(operator, left, right);
        }
        if right.is_condition_beside(left) {
            return self.of_condition(operator, right, left);
        }
        let condition = self.of_values(operator, left, right)?;
        Some(AnalyzedCondition::leaf(self.options.producer(), condition, span))
    }

    /// `(CONDITION) == true`, and the like. A condition is true or false, also where a field is missing.
    fn of_condition(
        &mut self,
        operator: Comparison,
        condition: &Expression,
        value: &Expression,
    ) -> Option<AnalyzedCondition> {
        let span = condition.span.to(value.span);
        let condition = self.condition(condition)?;
        let equal = match value.kind {
            ExpressionKind::Boolean(true) => condition,
            ExpressionKind::Boolean(false) => condition.negate(),
            ExpressionKind::Null => AnalyzedCondition::leaf(self.options.producer(), Condition::Never, span),
            _ => {
                let message = "a condition is compared with `true` or `false` only";
                return self.error(value.span, Code::TypeMismatch, message);
            }
        };
        match operator {
            Comparison::Equal => Some(equal),
            Comparison::NotEqual => Some(equal.negate()),
            Comparison::Order(_) => self.error(
                span,
                Code::TypeMismatch,
                "a condition has no order: it is true or false",
            ),
        }
    }

    fn of_values(&mut self, operator: Comparison, left: &Expression, right: &Expression) -> Option<Condition> {
        let span = left.span.to(right.span);
        let sides = (self.side(left), self.side(right));
        let exchanged = match operator {
            Comparison::Order(order) => Comparison::Order(order.exchanged()),
            equality => equality,
        };
        match (sides.0?, sides.1?) {
            (Side::Varying(operand) | Side::Constant(operand, _), Side::Literal(value)) => {
                self.with_value(&operand, operator, value)
            }
            (Side::Varying(operand) | Side::Constant(operand, _), Side::Constant(_, value)) => {
                self.with_value(&operand, operator, &value)
            }
            (Side::Literal(value), Side::Varying(operand) | Side::Constant(operand, _)) => {
                self.with_value(&operand, exchanged, value)
            }
            (Side::Constant(_, value), Side::Varying(operand)) => self.with_value(&operand, exchanged, &value),
            (Side::Literal(_), Side::Literal(_)) => self.error(span, Code::Constant, "both sides are constant"),
            (Side::Varying(left), Side::Varying(right)) => {
                let message = format!(
                    "`{}` cannot be compared with `{}`: both differ from event to event",
                    left.name, right.name
                );
                self.error(span, Code::FieldComparison, message)
            }
        }
    }

    fn side<'e>(&mut self, expression: &'e Expression) -> Option<Side<'e>> {
        if expression.is_literal() {
            return Some(Side::Literal(expression));
        }
        let operand = self.operand(expression)?;
        match operand.constant() {
            Some(ExpressionKind::Null) if !expression.has_null() => {
                let message = format!("`{}` of these constants has no value", operand.name);
                let finding = self.findings.add(expression.span, Code::Constant, message);
                finding.help("use constants that it can compute with");
                None
            }
            Some(kind) => {
                let span = expression.span;
                Some(Side::Constant(operand, Expression { kind, span }))
            }
            None => Some(Side::Varying(operand)),
        }
    }

    /// The values of a list, functions of constants by what they give. A null among them matches nothing.
    pub(super) fn constants(&mut self, list: &[Expression]) -> Option<Vec<Expression>> {
        let sides: Vec<_> = list.iter().map(|value| (value.span, self.side(value))).collect();
        let mut values = Vec::with_capacity(sides.len());
        for (span, side) in sides {
            match side? {
                Side::Literal(value) => values.push(value.clone()),
                Side::Constant(_, value) => values.push(value),
                Side::Varying(operand) => {
                    let message = format!(
                        "a list holds constants, and `{}` differs from event to event",
                        operand.name
                    );
                    return self.error(span, Code::FieldComparison, message);
                }
            }
        }
        values.retain(|value| !matches!(value.kind, ExpressionKind::Null));
        Some(values)
    }

    fn with_value(&mut self, operand: &Operand, operator: Comparison, value: &Expression) -> Option<Condition> {
        match operator {
            Comparison::Equal => self.equality(operand, value),
            Comparison::NotEqual => self.equality(operand, value).map(Condition::negate),
            Comparison::Order(order) => self.order(operand, order, value),
        }
    }

    /// `field == value`
    fn equality(&mut self, operand: &Operand, value: &Expression) -> Option<Condition> {
        if matches!(value.kind, ExpressionKind::Null) {
            return Some(operand.condition(Test::Exists).negate());
        }
        self.one_of(operand, std::slice::from_ref(value), Case::Sensitive)
    }

    /// Equal to one of the values, which must all fit the field.
    pub(super) fn one_of(&mut self, operand: &Operand, values: &[Expression], case: Case) -> Option<Condition> {
        if values.is_empty() {
            return Some(Condition::Never);
        }
        let operand = &operand.beside(values);
        let test = match operand.value_type {
            FieldType::Long | FieldType::Float => Test::NumberIn(self.each(operand, values, Checker::number)?),
            FieldType::Date => {
                let dates = self.each(operand, values, Checker::date)?;
                Test::DateIn(dates.into_iter().map(|date| date..=date).collect())
            }
            FieldType::Boolean => {
                let truths = self.each(operand, values, Checker::truth)?;
                let tests = truths.into_iter().map(|truth| operand.condition(Test::Boolean(truth)));
                return Some(Condition::any(tests.collect()));
            }
            FieldType::Ip => Test::Within(self.each(operand, values, Checker::network)?),
            FieldType::Keyword | FieldType::Text | FieldType::Object | FieldType::Group => {
                Test::TextIn(self.each(operand, values, Checker::text)?, case.or(operand.case))
            }
        };
        Some(operand.condition(test))
    }

    fn order(&mut self, operand: &Operand, order: Order, value: &Expression) -> Option<Condition> {
        let operand = &operand.beside(std::slice::from_ref(value));
        let test = match operand.value_type {
            FieldType::Long | FieldType::Float => Test::NumberOrder(order, self.number(operand, value)?),
            FieldType::Date => Test::DateOrder(order, self.date(operand, value)?),
            FieldType::Boolean => {
                return self.error(
                    value.span,
                    Code::TypeMismatch,
                    format!("`{}` has no order: it is a boolean", operand.name),
                );
            }
            FieldType::Ip => Test::AddressOrder(order, self.address(operand, value)?),
            FieldType::Keyword | FieldType::Text | FieldType::Object | FieldType::Group => {
                Test::TextOrder(order, self.text(operand, value)?)
            }
        };
        Some(operand.condition(test))
    }
}

impl Expression {
    fn is_literal(&self) -> bool {
        matches!(
            self.kind,
            ExpressionKind::Null | ExpressionKind::Boolean(_) | ExpressionKind::Number(_) | ExpressionKind::Text(_)
        )
    }

    /// Whether a null makes a function null.
    fn has_null(&self) -> bool {
        match &self.kind {
            ExpressionKind::Null => true,
            ExpressionKind::Call { arguments, .. } => arguments.iter().any(Expression::has_null),
            _ => false,
        }
    }

    /// Whether it is compared with the other as a condition. A function is null where a field is missing.
    fn is_condition_beside(&self, other: &Expression) -> bool {
        let is_call = matches!(self.kind, ExpressionKind::Call { .. });
        self.is_condition() && !(is_call && matches!(other.kind, ExpressionKind::Null))
    }

    /// Whether it is true or false by itself; a field is not, which may be missing.
    fn is_condition(&self) -> bool {
        match &self.kind {
            ExpressionKind::And(_)
            | ExpressionKind::Or(_)
            | ExpressionKind::Not(_)
            | ExpressionKind::Comparison { .. }
            | ExpressionKind::Membership { .. } => true,
            ExpressionKind::Call { function, .. } => {
                Function::by_name(function).is_some_and(|function| function.definition().result == Kind::Boolean)
            }
            ExpressionKind::Null
            | ExpressionKind::Boolean(_)
            | ExpressionKind::Number(_)
            | ExpressionKind::Text(_)
            | ExpressionKind::Field { .. }
            | ExpressionKind::Broken => false,
        }
    }
}
