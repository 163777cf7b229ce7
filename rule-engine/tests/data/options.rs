// Included by the tests inside and outside the crate.

/// What a sensor of processes in containers fills, as an embedder would describe it.
pub(crate) fn options() -> ParseOptions {
    let schema = Schema::ecs();
    let rows = include_str!("produced.tsv").lines().filter(|row| !row.starts_with('#'));
    let fields: Vec<_> = rows
        .map(|row| {
            let (name, values) = row.split_once('\t').unwrap_or((row, ""));
            let values = values.split(',').filter(|value| !value.is_empty());
            (schema.field(name).expect("a field"), values.map(str::to_owned).collect())
        })
        .collect();
    ParseOptions::new(Producer::new(schema).with_categories(&["process"]).with_fields(fields))
}
