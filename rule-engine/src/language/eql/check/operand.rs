//! What stands on the side of a comparison that is not constant: a field, or a function of fields.

use super::super::syntax::{Expression, ExpressionKind, Presence};
use super::checker::Checker;
use crate::condition::functions::{Computed, Function, Kind};
use crate::condition::{Argument, Call, ComputedCondition, Condition, Test};
use crate::diagnostic::Code;
use crate::schema::{FieldReference, FieldType};
use crate::value::{Case, Network};

/// The side of a comparison that differs from event to event.
#[derive(Clone)]
pub(super) struct Operand {
    source: Source,
    pub value_type: FieldType,
    /// For messages.
    pub name: String,
    /// Whether case counts when the comparison itself says that it does.
    pub case: Case,
}

#[derive(Clone)]
enum Source {
    Field(FieldReference),
    /// `?f` of which the schema knows nothing: its values are of the type of what it is compared with.
    Undeclared(FieldReference),
    Call(Call),
}

impl Operand {
    /// The operand, if it has no type of its own, with that of the values that it is compared with.
    pub(super) fn beside(&self, values: &[Expression]) -> Operand {
        self.typed(match values.first().map(|value| &value.kind) {
            Some(ExpressionKind::Number(_)) => FieldType::Float,
            Some(ExpressionKind::Boolean(_)) => FieldType::Boolean,
            _ => FieldType::Keyword,
        })
    }

    /// The operand with values of this type, if it has no type of its own.
    pub(super) fn typed(&self, value_type: FieldType) -> Operand {
        match &self.source {
            Source::Undeclared(field) => Operand::of_field(FieldReference {
                value_type,
                ..field.clone()
            }),
            Source::Field(_) | Source::Call(_) => self.clone(),
        }
    }

    pub(super) fn condition(&self, test: Test) -> Condition {
        match &self.source {
            Source::Field(field) | Source::Undeclared(field) => Condition::field(field.clone(), test),
            Source::Call(call) => Condition::Computed(ComputedCondition {
                call: call.clone(),
                test,
            }),
        }
    }

    /// What it is in every event, if it takes nothing from one and has a value.
    pub(super) fn constant(&self) -> Option<ExpressionKind> {
        let Source::Call(call) = &self.source else {
            return None;
        };
        Some(match call.constant()? {
            Computed::Null => ExpressionKind::Null,
            Computed::Text(text) => ExpressionKind::Text(text.into_owned()),
            Computed::Number(number) => ExpressionKind::Number(number),
            Computed::Boolean(truth) => ExpressionKind::Boolean(truth),
        })
    }

    fn of_field(field: FieldReference) -> Operand {
        let (value_type, name, case) = (field.value_type, field.name(), field.case);
        Operand {
            source: Source::Field(field),
            value_type,
            name,
            case,
        }
    }
}

impl Checker<'_> {
    pub(super) fn operand(&mut self, expression: &Expression) -> Option<Operand> {
        match &expression.kind {
            ExpressionKind::Field {
                name,
                presence: Presence::Optional,
            } if FieldReference::resolve(self.options.schema(), name).is_none() => {
                let field = FieldReference::undeclared(self.options.schema(), name);
                Some(Operand {
                    source: Source::Undeclared(field.clone()),
                    ..Operand::of_field(field)
                })
            }
            ExpressionKind::Field { name, .. } => {
                FieldReference::check(self.options.schema(), name, expression.span, self.findings)
                    .map(Operand::of_field)
            }
            ExpressionKind::Call {
                function,
                case,
                arguments,
            } => {
                let (call, result) = self.call(expression, function, *case, arguments)?;
                let value_type = match result {
                    Kind::Number => FieldType::Float,
                    Kind::Boolean => FieldType::Boolean,
                    Kind::Text | Kind::Network | Kind::Any => FieldType::Keyword,
                };
                let name = format!("{function}(..)");
                Some(Operand {
                    source: Source::Call(call),
                    value_type,
                    name,
                    case: Case::Sensitive,
                })
            }
            _ => self.error(expression.span, Code::NotAField, "expected a field or a function"),
        }
    }

    /// A function that is a condition by itself.
    pub(super) fn call_condition(
        &mut self,
        expression: &Expression,
        function: &str,
        case: Case,
        arguments: &[Expression],
    ) -> Option<Condition> {
        let (call, result) = self.call(expression, function, case, arguments)?;
        if result != Kind::Boolean {
            let message = format!("`{function}(..)` alone is not a condition: it is not a boolean");
            return self.error(expression.span, Code::NotACondition, message);
        }
        Some(as_test(&call).unwrap_or(Condition::Computed(ComputedCondition {
            call,
            test: Test::Boolean(true),
        })))
    }

    fn wrong_arguments<T>(&mut self, expression: &Expression, function: &str) -> Option<T> {
        let message = format!("`{function}` does not take these arguments");
        self.error(expression.span, Code::FunctionArguments, message)
    }

    fn call(
        &mut self,
        expression: &Expression,
        name: &str,
        case: Case,
        arguments: &[Expression],
    ) -> Option<(Call, Kind)> {
        let Some(function) = Function::by_name(name) else {
            let message = format!("unknown function `{name}`");
            let finding = self.findings.add(expression.span, Code::UnknownFunction, message);
            if let Some(help) = Function::help(name) {
                finding.help(help);
            }
            return None;
        };
        if case == Case::Insensitive && !function.definition().compares_text {
            let message = format!("`{name}` has no form with `~`: it compares no texts");
            return self.error(expression.span, Code::UnknownFunction, message);
        }
        let signature = function.definition();
        let kinds = signature.required.iter().chain(signature.optional).copied();
        let kinds: Vec<Kind> = match signature.further {
            None => kinds.collect(),
            Some(further) => kinds.chain(std::iter::repeat(further)).take(arguments.len()).collect(),
        };
        if !(signature.required.len()..=kinds.len()).contains(&arguments.len()) {
            return self.wrong_arguments(expression, name);
        }
        let terms: Vec<_> = arguments
            .iter()
            .zip(kinds)
            .map(|(argument, kind)| self.term(argument, kind))
            .collect();
        let arguments: Vec<Argument> = terms.into_iter().collect::<Option<_>>()?;
        let ignores_case =
            |argument: &Argument| matches!(argument, Argument::Field(field) if field.case == Case::Insensitive);
        let case = if signature.compares_text && arguments.iter().any(ignores_case) {
            Case::Insensitive
        } else {
            case
        };
        Some((
            Call {
                function,
                case,
                arguments,
            },
            signature.result,
        ))
    }

    fn term(&mut self, expression: &Expression, wanted: Kind) -> Option<Argument> {
        let (term, kind) = match &expression.kind {
            ExpressionKind::Null => (Argument::Null, wanted),
            ExpressionKind::Text(text) => (Argument::Text(text.clone()), Kind::Text),
            ExpressionKind::Number(number) => (Argument::Number(*number), Kind::Number),
            ExpressionKind::Boolean(truth) => (Argument::Boolean(*truth), Kind::Boolean),
            _ => {
                let operand = self.operand(expression)?.typed(match wanted {
                    Kind::Number => FieldType::Float,
                    Kind::Boolean => FieldType::Boolean,
                    Kind::Text | Kind::Network | Kind::Any => FieldType::Keyword,
                });
                match operand.source {
                    Source::Field(field) | Source::Undeclared(field) => {
                        (Argument::Field(field), kind_of(operand.value_type))
                    }
                    Source::Call(call) => {
                        let kind = call.function.definition().result;
                        (Argument::Call(call), kind)
                    }
                }
            }
        };
        let wanted_words = match wanted {
            Kind::Any => None,
            Kind::Text | Kind::Network => (kind != Kind::Text && kind != wanted).then_some("a text"),
            Kind::Number => (kind != Kind::Number).then_some("a number"),
            Kind::Boolean => (kind != Kind::Boolean).then_some("`true` or `false`"),
        };
        if let Some(wanted) = wanted_words {
            return self.error(
                expression.span,
                Code::TypeMismatch,
                format!("the function takes {wanted} here"),
            );
        }
        let is_network = matches!(&term, Argument::Text(text) if Network::parse(text).is_some());
        if wanted == Kind::Network && !is_network {
            let message = "expected a network such as `\"10.0.0.0/8\"`";
            return self.error(expression.span, Code::TypeMismatch, message);
        }
        Some(term)
    }
}

fn kind_of(field_type: FieldType) -> Kind {
    match field_type {
        FieldType::Long | FieldType::Float => Kind::Number,
        FieldType::Boolean => Kind::Boolean,
        FieldType::Keyword | FieldType::Text | FieldType::Ip | FieldType::Object | FieldType::Group => Kind::Text,
        FieldType::Date => Kind::Any,
    }
}

/// A search for constants in one field is a test of that field, which costs less than a function, if what is computed
/// with is what tests are for.
fn as_test(call: &Call) -> Option<Condition> {
    let [Argument::Field(field), constants @ ..] = call.arguments.as_slice() else {
        return None;
    };
    if field.has_further_values {
        return None;
    }
    let texts: Option<Vec<&str>> = constants
        .iter()
        .map(|constant| match constant {
            Argument::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let as_test = call.function.definition().as_test?;
    let test = as_test(&texts?, call.case)?;
    Some(Condition::field(field.clone(), test))
}
