use super::*;

#[test]
fn every_field_is_found_by_its_name() {
    let schema = Schema::ecs()
        .with_field("acme.team", FieldType::Keyword)
        .expect("a new field");
    for field in schema.fields().filter(|field| *field != fields::OTHERS) {
        assert_eq!(schema.field(schema.name(field)), Some(field));
    }
    assert_eq!(schema.field(schema.name(fields::OTHERS)), None);
    assert_eq!(schema.field("process.nam"), None);
}

#[test]
fn constants_carry_the_names_they_are_called_by() {
    let schema = Schema::ecs();
    assert_eq!(schema.name(fields::TIMESTAMP), "@timestamp");
    assert_eq!(
        schema.name(fields::PROCESS_ENTRY_LEADER_ENTRY_META_TYPE),
        "process.entry_leader.entry_meta.type"
    );
    assert_eq!(schema.name(fields::USER_EXT_REAL_ID), "user.Ext.real.id");
}

#[test]
fn types_and_lists_follow_the_table() {
    let schema = Schema::ecs();
    assert_eq!(schema.field_type(fields::PROCESS_PID), FieldType::Long);
    assert_eq!(schema.field_type(fields::PROCESS_COMMAND_LINE), FieldType::Keyword);
    assert_eq!(schema.field_type(fields::CONTAINER_LABELS), FieldType::Object);
    assert_eq!(schema.field_type(fields::PROCESS_TTY), FieldType::Group);
    assert!(schema.is_array(fields::PROCESS_ARGS));
    assert!(!schema.is_array(fields::PROCESS_NAME));
}

#[test]
fn declared_fields_come_behind_the_others_with_their_groups() {
    let schema = Schema::ecs()
        .with_field("acme.team", FieldType::Keyword)
        .and_then(|schema| schema.with_list_field("acme.costs", FieldType::Float))
        .expect("new fields");
    let declared: Vec<(&str, FieldType, bool)> = schema
        .fields()
        .skip(Schema::ecs().field_count())
        .map(|field| (schema.name(field), schema.field_type(field), schema.is_array(field)))
        .collect();
    assert_eq!(
        declared,
        [
            ("acme", FieldType::Group, false),
            ("acme.team", FieldType::Keyword, false),
            ("acme.costs", FieldType::Float, true)
        ]
    );
    assert_eq!(schema.field("acme.costs"), Some(FieldId::declared(2)));
    assert_eq!(schema.field("process.name"), Some(fields::PROCESS_NAME));
    assert_ne!(schema, Schema::ecs());
}

#[test]
fn equal_declarations_make_equal_schemas() {
    let declare = |name| Schema::ecs().with_field(name, FieldType::Long).expect("a new field");
    assert_eq!(declare("acme.a"), declare("acme.a"));
    assert_ne!(declare("acme.a"), declare("acme.b"));
}

#[test]
fn fields_that_cannot_be_are_refused_by_name() {
    let error = |name: &str| {
        let declared = Schema::ecs().with_field(name, FieldType::Keyword);
        declared.expect_err("a field that cannot be").to_string()
    };
    for name in ["", ".", "a.", ".a", "a b", "a\"b"] {
        assert!(error(name).contains("is not a field's name"), "{name}");
    }
    assert_eq!(error("process.name"), "there is a field `process.name` already");
    assert_eq!(error("process"), "there is a field `process` already");
    assert_eq!(
        error("process.name.first"),
        "`process.name.first` lies below `process.name`, which holds values itself"
    );
    assert_eq!(
        error("labels.team"),
        "`labels.team` lies below `labels`, which holds values itself"
    );
}

#[test]
fn own_fields_change_no_record() {
    let with = |name: &str, field_type| Schema::ecs().with_own_field(name, field_type);
    let schema = with("acme.team", FieldType::Keyword).expect("a new field");
    assert_eq!(schema, Schema::ecs());
    assert_eq!(schema.own_field("acme.team"), Some(FieldType::Keyword));
    assert_eq!(
        schema
            .clone()
            .with_own_field("acme.team", FieldType::Keyword)
            .expect("the same field")
            .own_field("acme.team"),
        Some(FieldType::Keyword)
    );
    let error = |schema: Result<Schema, SchemaError>| schema.expect_err("a field that cannot be").to_string();
    assert_eq!(
        error(schema.with_own_field("acme.team", FieldType::Long)),
        "`acme.team` is declared with another type already"
    );
    assert_eq!(
        error(with("process.name", FieldType::Long)),
        "there is a field `process.name` already"
    );
    assert_eq!(
        error(with("process.name.first", FieldType::Long)),
        "`process.name.first` lies below `process.name`, which holds values itself"
    );
    assert!(error(with("a b", FieldType::Long)).contains("is not a field's name"));
    for name in ["container.labels.replicas", "labels.team", "process.acme"] {
        assert!(with(name, FieldType::Long).is_ok(), "{name}");
    }
    assert_eq!("double".parse(), Ok(FieldType::Float));
    assert!("object".parse::<FieldType>().is_err());
}

#[test]
fn a_schema_with_another_owner_is_another() {
    let schema = Schema::ecs().with_owner(&[fields::HOST_ID, fields::CONTAINER_ID]);
    assert_eq!(schema.owner(), [fields::HOST_ID, fields::CONTAINER_ID]);
    assert_ne!(schema, Schema::ecs());
    assert_eq!(schema.with_owner(&[fields::CONTAINER_ID]), Schema::ecs());
}

#[test]
fn a_full_schema_takes_no_field_more() {
    let mut schema = Schema::ecs();
    for number in schema.field_count()..Schema::MAX_FIELDS {
        schema = schema.with_field(&format!("f{number}"), FieldType::Long).expect("room");
    }
    let full = schema.with_field("one_more", FieldType::Long);
    assert_eq!(full, Err(SchemaError::TooMany));
}
