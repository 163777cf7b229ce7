//! An alert or event as it left the sensor.

use std::fmt;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// One line of the sensor's output, parsed.
#[derive(Clone, Debug)]
pub struct Document(Value);

impl Document {
    /// Reads one line of output.
    pub fn parse(line: &str) -> Result<Self> {
        serde_json::from_str(line)
            .map(Self)
            .with_context(|| format!("`{line}` is not JSON"))
    }

    /// A field by its full name, wherever the dots are keys and wherever they are nesting.
    pub fn get(&self, field: &str) -> Option<&Value> {
        find(&self.0, field)
    }

    /// A field's value as text: of a list its only element, or the whole list as JSON; nothing if it is missing.
    pub fn text(&self, field: &str) -> String {
        match self.get(field) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(values)) if let [Value::String(text)] = values.as_slice() => text.clone(),
            Some(value) => value.to_string(),
        }
    }

    /// The documents of a list.
    pub fn list(&self, field: &str) -> Vec<Document> {
        let values = self.get(field).and_then(Value::as_array);
        values.into_iter().flatten().cloned().map(Self).collect()
    }

    /// The same for an alert and its amendment.
    pub fn alert_id(&self) -> String {
        self.text("kibana.alert.uuid")
    }

    /// Whether it repeats an alert with what has come to be known since.
    pub fn is_amendment(&self) -> bool {
        self.text("tidewaiter.amendment") == "true"
    }

    /// Whether the sensor says something of itself.
    pub fn is_notice(&self) -> bool {
        self.text("event.dataset") == "tidewaiter.sensor" && self.rule().is_empty()
    }

    /// The name of the rule that raised the alert.
    pub fn rule(&self) -> String {
        self.text("kibana.alert.rule.name")
    }
}

/// In one line, as it was written.
impl fmt::Display for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

fn find<'a>(value: &'a Value, field: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(field).or_else(|| {
        field
            .match_indices('.')
            .find_map(|(dot, _)| find(object.get(&field[..dot])?, &field[dot + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::Document;

    #[test]
    fn a_field_is_found_nested_dotted_and_mixed() {
        let document = Document::parse(r#"{"a":{"b":{"c":1},"x.y":["z"]},"k.l.m":"n"}"#).unwrap();
        assert_eq!(document.text("a.b.c"), "1");
        assert_eq!(document.text("a.x.y"), "z");
        assert_eq!(document.text("k.l.m"), "n");
        assert_eq!(document.text("k.l"), "");
    }
}
