//! The sentence that an alert opens with.

use rule_engine::Rating;

use super::suppressed;
use crate::text::document::{self, Document};
use crate::text::escape::{self, Ends, Visible};

/// The sentence shows about this many characters of the command line, and of each argument.
const REASON_COMMAND_CHARACTERS: usize = 160;
const REASON_ARGUMENT_CHARACTERS: usize = 80;

/// One sentence that says what happened, where and to whom, and which rule it concerns.
pub(crate) fn reason(event: &Document, rating: &Rating) -> String {
    let text = |field| document::text(event, field);
    let arguments = document::texts(event, "process.args");
    let process = match text("process.name") {
        _ if !arguments.is_empty() => {
            escape::command_line(arguments, REASON_COMMAND_CHARACTERS, REASON_ARGUMENT_CHARACTERS)
        }
        Some(name) => Visible(name).to_string(),
        None => "a process".to_owned(),
    };
    let mut reason = format!("`{process}`");
    let mut add = |before: &str, value: Option<&str>| {
        if let Some(text) = value {
            let limit = REASON_COMMAND_CHARACTERS;
            reason.push_str(&format!(" {before} `{}`", Ends { text, limit }));
        }
    };
    add("started by", text("process.parent.name"));
    add("as", text("user.name").or(text("user.id")));
    add("in container", text("container.name").or(text("container.id")));
    add("of image", text("container.image.name"));
    add("on", text("host.name"));
    let new_terms = suppressed::new_terms(event);
    if !new_terms.is_empty() {
        let terms = escape::words(new_terms, REASON_COMMAND_CHARACTERS, REASON_ARGUMENT_CHARACTERS, "more");
        let what = match event.contains_key(suppressed::FIELD) {
            true => "new terms",
            false => "new term",
        };
        reason.push_str(&format!(" with the {what} `{terms}`"));
    }
    reason.push_str(&format!(
        ": {} alert `{}`",
        rating.severity.as_str(),
        Visible(&rating.name)
    ));
    reason
}
