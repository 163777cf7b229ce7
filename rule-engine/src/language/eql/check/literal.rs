//! The constant side of a comparison: literals that must fit what they are compared with.

use super::super::syntax::{Expression, ExpressionKind};
use super::checker::Checker;
use super::operand::Operand;
use crate::diagnostic::Code;
use crate::language::check_pattern_length;
use crate::value::{Address, Network, Number, Pattern, timestamp};

impl Checker<'_> {
    /// All are checked, so that the errors of all are reported.
    pub(super) fn each<T>(
        &mut self,
        operand: &Operand,
        values: &[Expression],
        check: fn(&mut Self, &Operand, &Expression) -> Option<T>,
    ) -> Option<Vec<T>> {
        let checked: Vec<_> = values.iter().map(|value| check(self, operand, value)).collect();
        checked.into_iter().collect()
    }

    fn mismatch<T>(&mut self, operand: &Operand, value: &Expression, wanted: &str) -> Option<T> {
        self.error(
            value.span,
            Code::TypeMismatch,
            format!("`{}` is compared with {wanted}", operand.name),
        )
    }

    pub(super) fn text(&mut self, operand: &Operand, value: &Expression) -> Option<String> {
        match &value.kind {
            ExpressionKind::Text(text) => Some(text.clone()),
            _ => self.mismatch(operand, value, "a text in double quotes"),
        }
    }

    pub(super) fn pattern(&mut self, operand: &Operand, value: &Expression) -> Option<Pattern> {
        self.pattern_text(operand, value).map(|text| Pattern::from_like(&text))
    }

    pub(super) fn pattern_text(&mut self, operand: &Operand, value: &Expression) -> Option<String> {
        let text = self.text(operand, value)?;
        check_pattern_length(self.options, &text, value.span, self.findings)?;
        Some(text)
    }

    pub(super) fn address(&mut self, operand: &Operand, value: &Expression) -> Option<Address> {
        let address = match &value.kind {
            ExpressionKind::Text(text) => Address::parse(text),
            _ => None,
        };
        address.or_else(|| self.mismatch(operand, value, "an address such as `\"10.0.0.1\"`"))
    }

    /// One address, or those of a network.
    pub(super) fn network(&mut self, operand: &Operand, value: &Expression) -> Option<Network> {
        let network = match &value.kind {
            ExpressionKind::Text(text) => Network::parse(text),
            _ => None,
        };
        network.or_else(|| {
            self.mismatch(
                operand,
                value,
                "an address or a network such as `\"10.0.0.1\"` or `\"10.0.0.0/8\"`",
            )
        })
    }

    pub(super) fn number(&mut self, operand: &Operand, value: &Expression) -> Option<Number> {
        match &value.kind {
            ExpressionKind::Number(number) => Some(*number),
            _ => self.mismatch(operand, value, "a number"),
        }
    }

    pub(super) fn truth(&mut self, operand: &Operand, value: &Expression) -> Option<bool> {
        match &value.kind {
            ExpressionKind::Boolean(truth) => Some(*truth),
            _ => self.mismatch(operand, value, "`true` or `false`"),
        }
    }

    pub(super) fn date(&mut self, operand: &Operand, value: &Expression) -> Option<i64> {
        let date = match &value.kind {
            ExpressionKind::Text(text) => timestamp::parse(text),
            ExpressionKind::Number(Number::Long(milliseconds)) => milliseconds.checked_mul(1_000_000),
            _ => None,
        };
        if date.is_none() {
            return self.mismatch(
                operand,
                value,
                "a date such as `\"2026-01-31T10:00:00Z\"`, or milliseconds since 1970",
            );
        }
        date
    }
}
