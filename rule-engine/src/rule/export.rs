//! Rules as Kibana exports them: one JSON object a line, in the flat form, with the exception lists they refer to.
//!
//! Each rule becomes the TOML of a rule file, with the items of its exception lists in it, and goes the way of one: so
//! the two forms cannot mean different things. What is found is placed at the rule's line.

use serde_json::{Map, Value as Json};

use crate::diagnostic::Code;
use crate::limits::RuleLimits;
use crate::value::hash::HashMap;

/// Keys of the lines of an export that are neither rules nor items: lists, connectors and the summary.
const KEYS_OF_OTHER_LINES: [&str; 4] = ["list_id", "attributes", "exported_count", "exported_rules_count"];

/// A line that is or should be a rule.
pub(super) struct ExportedRule {
    /// From 1.
    pub line: u32,
    /// The text of a rule file, or why there is none: a code and a message.
    pub rule_file: Result<String, (Code, String)>,
}

/// The items of an exception list and how many bytes their lines have.
#[derive(Default)]
struct ExceptionList {
    items: Vec<Json>,
    bytes: usize,
}

pub(super) fn rules(limits: &RuleLimits, text: &str) -> Vec<ExportedRule> {
    let most = limits.export_bytes;
    if text.len() > most {
        let message = format!("the file is longer than {most} bytes");
        return vec![failure(1, Code::FileTooLong, message)];
    }
    let mut rules = Vec::new();
    let mut lists: HashMap<String, ExceptionList> = HashMap::default();
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str::<Map<String, Json>>(line) {
            Err(error) => found.push(failure(
                number,
                Code::Json,
                format!("the line is no JSON object: {error}"),
            )),
            Ok(object) => match object.get("list_id").and_then(Json::as_str) {
                Some(list_id) if !object.contains_key("rule_id") => {
                    let list = lists.entry(list_id.to_owned()).or_default();
                    if object.contains_key("entries") {
                        list.items.push(Json::Object(object));
                        list.bytes += line.len();
                    }
                }
                _ if !KEYS_OF_OTHER_LINES.iter().any(|key| object.contains_key(*key)) => {
                    rules.push((number, line.len(), object));
                }
                _ => {}
            },
        }
    }
    if rules.is_empty() && found.is_empty() {
        found.push(failure(1, Code::NoRules, "the file holds no rule".to_owned()));
    }
    found.extend(rules.into_iter().map(|(line, bytes, rule)| ExportedRule {
        line,
        rule_file: rule_file(limits, rule, bytes, &lists),
    }));
    found.sort_by_key(|rule| rule.line);
    found
}

fn failure(line: u32, code: Code, message: String) -> ExportedRule {
    ExportedRule {
        line,
        rule_file: Err((code, message)),
    }
}

fn rule_file(
    limits: &RuleLimits,
    mut rule: Map<String, Json>,
    bytes: usize,
    lists: &HashMap<String, ExceptionList>,
) -> Result<String, (Code, String)> {
    if let Some(Json::Array(references)) = rule.get_mut("exceptions_list") {
        let list = |reference: &Json| lists.get(reference.get("list_id")?.as_str()?);
        let bytes_of_items: usize = references.iter().filter_map(list).map(|list| list.bytes).sum();
        let most = limits.file_bytes;
        if bytes + bytes_of_items > most {
            let message = format!("the rule and its exceptions are longer than {most} bytes");
            return Err((Code::FileTooLong, message));
        }
        // A reference to a list that is not in the file stays, and is an error of the rule.
        *references = references
            .iter()
            .flat_map(|reference| match list(reference) {
                Some(list) => list.items.clone(),
                None => vec![reference.clone()],
            })
            .collect();
    }
    let mut file = Json::Object(Map::from_iter([("rule".to_owned(), Json::Object(rule))]));
    drop_nulls(&mut file);
    toml::to_string(&file).map_err(|error| (Code::Json, format!("the line is no rule: {error}")))
}

/// TOML has no null; Kibana writes one where a rule has no value.
fn drop_nulls(value: &mut Json) {
    match value {
        Json::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(drop_nulls);
        }
        Json::Array(list) => {
            list.retain(|value| !value.is_null());
            list.iter_mut().for_each(drop_nulls);
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
