//! The fields that a rule file declares for itself, in the table `schema` of the engine's own table:
//!
//! ```toml
//! [engine.schema]
//! acme.team = "keyword"
//! container.labels.replicas = "long"
//! ```

use serde_json::Value as Json;

use super::table::Table;
use crate::diagnostic::{Code, Findings};
use crate::language::ParseOptions;
use crate::schema::FieldType;

/// The options with the declared fields; `None` if there are none.
pub(super) fn read(options: &ParseOptions, own: Table<'_>, findings: &mut Findings) -> Option<ParseOptions> {
    let schema = own.table("schema", findings)?;
    let mut options = options.clone();
    declare(&mut options, schema, "", findings);
    Some(options)
}

/// Declares the fields of a table, which are below the one of this name.
fn declare(options: &mut ParseOptions, table: Table<'_>, above: &str, findings: &mut Findings) {
    for key in table.keys() {
        let name = match above {
            "" => key.value.to_owned(),
            above => format!("{above}.{}", key.value),
        };
        if let Some(Json::Object(_)) = table.json(key.value) {
            if let Some(below) = table.table(key.value, findings) {
                declare(options, below, &name, findings);
            }
            continue;
        }
        let Some(field_type) = table.text(key.value, findings) else {
            continue;
        };
        let declared = field_type.value.parse::<FieldType>().map_err(|error| error.to_string());
        let declared = declared.and_then(|known| options.declare_own(&name, known).map_err(|error| error.to_string()));
        if let Err(message) = declared {
            findings.add(key.span.to(field_type.span), Code::BadValue, message);
        }
    }
}
