//! Turns `schema/fields.tsv` into the rows and the named constants that `src/schema.rs` includes.
//!
//! The table is the only place where a field is written down; the order of its lines is the order of `FieldId`s.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    let table = read("schema/fields.tsv");
    let lines = rows_of("schema/fields.tsv", &table);
    let parents: BTreeSet<&str> = lines
        .iter()
        .flat_map(|line| line[0].match_indices('.').map(|(at, _)| &line[0][..at]))
        .collect();

    // The first field has no name: what documents have beside the others.
    let mut rows =
        "    Definition { name: Cow::Borrowed(\"\"), field_type: FieldType::Object, is_array: false },\n".to_owned();
    let mut constants = String::new();
    for (index, line) in (1..).zip(&lines) {
        let [name, index_type, array, _source] = line[..] else {
            panic!("`schema/fields.tsv`: `{}` does not have four columns", line.join(" "));
        };
        let field_type = field_type(index_type, parents.contains(name));
        let is_array = array == "array";
        writeln!(
            rows,
            "    Definition {{ name: Cow::Borrowed({name:?}), field_type: FieldType::{field_type}, is_array: {is_array} }},"
        )
        .expect("writing to a string");
        writeln!(
            constants,
            "    /// `{name}`\n    pub const {}: FieldId = FieldId({index});",
            constant_name(name)
        )
        .expect("writing to a string");
    }
    let generated = format!(
        "static ECS: [Definition; {count}] = [\n{rows}];\n\n\
         /// A constant for every field: its name in upper case, `.` written as `_`.\n\
         pub mod fields {{\n    use super::FieldId;\n    \
         /// The values that documents have under names of no other field, by these names.\n    \
         pub const OTHERS: FieldId = FieldId(0);\n{constants}}}\n",
        count = lines.len() + 1
    );
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("schema.rs"), generated).expect("OUT_DIR is writable");
}

fn read(path: &str) -> String {
    println!("cargo::rerun-if-changed={path}");
    fs::read_to_string(path).unwrap_or_else(|error| panic!("`{path}` cannot be read: {error}"))
}

/// The columns of each line, sorted by the first.
fn rows_of<'a>(path: &str, table: &'a str) -> Vec<Vec<&'a str>> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    assert!(rows.is_sorted_by(|a, b| a[0] < b[0]), "`{path}` is not sorted by name");
    rows
}

/// The engine's type for an Elasticsearch index type. A multi-field (`NAME.text`) does not make a keyword a group.
fn field_type(index_type: &str, has_children: bool) -> &'static str {
    match index_type {
        "keyword" | "constant_keyword" | "wildcard" => "Keyword",
        "match_only_text" => "Text",
        "long" | "integer" => "Long",
        "float" | "double" | "scaled_float" => "Float",
        "boolean" => "Boolean",
        "date" => "Date",
        "ip" => "Ip",
        "object" | "nested" | "flattened" | "geo_point" if has_children => "Group",
        "object" | "nested" | "flattened" | "geo_point" => "Object",
        other => panic!("`schema/fields.tsv`: unknown type `{other}`"),
    }
}

fn constant_name(field: &str) -> String {
    field.trim_start_matches('@').to_uppercase().replace('.', "_")
}
