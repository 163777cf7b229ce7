//! What the checks of all kinds of expressions share.

use crate::diagnostic::{Code, Findings, Span};
use crate::language::ParseOptions;
use crate::schema::FieldReference;

pub(super) struct Checker<'a> {
    pub(super) options: &'a ParseOptions,
    pub(super) category: &'a FieldReference,
    pub(super) findings: &'a mut Findings,
}

impl Checker<'_> {
    pub(super) fn error<T>(&mut self, span: Span, code: Code, message: impl Into<String>) -> Option<T> {
        self.findings.add(span, code, message);
        None
    }
}
