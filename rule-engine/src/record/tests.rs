use std::net::IpAddr;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::limits::{MAX_UNFIT_SHOWN, MAX_UNFIT_TEXT_BYTES};
use crate::schema::fields;

fn document(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    match value {
        serde_json::Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

#[test]
fn a_cleared_record_has_no_values_and_can_be_filled_again() {
    let mut record = Record::new();
    record.text(fields::PROCESS_NAME, "bash");
    record.long(fields::PROCESS_PID, 7);
    record.clear();
    assert!(record.is_missing(fields::PROCESS_NAME));
    assert_eq!(record.fields().count(), 0);
    record.text(fields::PROCESS_NAME, "sh");
    assert_eq!(record.first_text(fields::PROCESS_NAME), Some("sh"));
    assert_eq!(record.first_long(fields::PROCESS_PID), None);
}

#[test]
fn values_keep_their_order_when_fields_are_filled_in_turns() {
    let mut record = Record::new();
    for word in ["apt", "install", "curl"] {
        record.text(fields::PROCESS_ARGS, word);
        record.text(fields::EVENT_TYPE, "start");
    }
    let args: Vec<_> = record.values(fields::PROCESS_ARGS).collect();
    assert_eq!(args, [Value::Text("apt"), Value::Text("install"), Value::Text("curl")]);
}

#[test]
fn replacing_a_field_leaves_only_the_new_values() {
    let mut record = Record::new();
    record.replace(fields::PROCESS_NAME, &[Value::Text("a")]);
    record.replace(fields::PROCESS_NAME, &[Value::Text("b"), Value::Text("c")]);
    assert_eq!(record.values(fields::PROCESS_NAME).count(), 2);
    record.replace(fields::PROCESS_NAME, &[]);
    assert!(record.is_missing(fields::PROCESS_NAME));
    assert_eq!(record.fields().count(), 0);
    record.text(fields::PROCESS_NAME, "d");
    assert_eq!(record.first_text(fields::PROCESS_NAME), Some("d"));
}

#[test]
fn nested_and_dotted_documents_give_the_same_record() {
    let nested = document(
        json!({"process": {"name": "bash", "args": ["bash", "-i"], "tty": {"char_device": {"major": 136}}},
        "container": {"labels": {"com.example.team": "a", "com": {"example": {"tier": 1}}}}}),
    );
    let dotted = document(json!({"process.name": ["bash"], "process.args": ["bash", "-i"],
        "process.tty.char_device": {"major": "136"},
        "container.labels.com.example.team": "a", "container": {"labels.com.example.tier": "1"}}));
    let (mut one, mut other) = (Record::new(), Record::new());
    assert_eq!(one.fill_from_document(&nested), DocumentCounts::default());
    assert_eq!(other.fill_from_document(&dotted), DocumentCounts::default());
    assert_eq!(one.to_document(), other.to_document());
    assert_eq!(one.first_long(fields::PROCESS_TTY_CHAR_DEVICE_MAJOR), Some(136));
}

#[test]
fn what_a_document_cannot_give_is_counted_and_the_rest_is_read() {
    let mut record = Record::new();
    let counts = record.fill_from_document(&document(json!({
        "process": {"pid": "many", "name": 7, "interactive": "yes", "nonsense": {"deep": [1, 2]}, "exit_code": null},
        "@timestamp": "soon", "event": {"type": []},
    })));
    assert_eq!((counts.unknown_fields, counts.unfit_values), (2, 3));
    let unfit = counts
        .unfit
        .iter()
        .map(|unfit| (record.schema().name(unfit.field), unfit.value.as_str()));
    assert_eq!(
        unfit.collect::<Vec<_>>(),
        [
            ("process.pid", "many"),
            ("process.interactive", "yes"),
            ("@timestamp", "soon")
        ]
    );
    assert_eq!(record.first_text(fields::PROCESS_NAME), Some("7"));
    assert!(record.is_missing(fields::EVENT_TYPE));
}

#[test]
fn of_values_that_do_not_fit_few_are_named_and_shortly() {
    let many = vec!["\u{e9}".repeat(1_000); 1_000];
    let counts = Record::new().fill_from_document(&document(json!({ "process.pid": many })));
    assert_eq!((counts.unfit_values, counts.unfit.len()), (1_000, MAX_UNFIT_SHOWN));
    assert!(
        counts
            .unfit
            .iter()
            .all(|unfit| unfit.value.len() <= MAX_UNFIT_TEXT_BYTES)
    );
}

#[test]
fn lists_are_written_where_the_schema_says_so_or_where_there_are_several_values() {
    let mut record = Record::new();
    record.text(fields::EVENT_CATEGORY, "process");
    record.text(fields::PROCESS_NAME, "bash");
    record.long(fields::PROCESS_PID, 1);
    record.long(fields::PROCESS_PID, 2);
    record.date(fields::TIMESTAMP, 1_500_000_000);
    record.push(fields::CONTAINER_LABELS, Value::Label { key: "a.b", value: "c" });
    assert_eq!(
        serde_json::Value::Object(record.to_document()),
        json!({"@timestamp": "1970-01-01T00:00:01.500Z", "container": {"labels": {"a.b": "c"}},
            "event": {"category": ["process"]}, "process": {"name": "bash", "pid": [1, 2]}})
    );
}

fn fitting_value(field: FieldId) -> BoxedStrategy<Owned> {
    let text = "[a-c.*]{0,4}";
    match Schema::ecs().field_type(field) {
        FieldType::Keyword | FieldType::Text => text.prop_map(Owned::Text).boxed(),
        FieldType::Ip => any::<IpAddr>().prop_map(Owned::Address).boxed(),
        FieldType::Long => any::<i64>().prop_map(Owned::Long).boxed(),
        FieldType::Float => (-1.0e9..1.0e9).prop_map(Owned::Float).boxed(),
        FieldType::Boolean => any::<bool>().prop_map(Owned::Boolean).boxed(),
        FieldType::Date => any::<i64>().prop_map(Owned::Date).boxed(),
        FieldType::Object => ("[a-b.]{1,3}", text)
            .prop_map(|(key, value)| Owned::Label(key, value))
            .boxed(),
        FieldType::Group => Just(Owned::Nothing).boxed(),
    }
}

#[derive(Clone, Debug)]
enum Owned {
    Text(String),
    Address(IpAddr),
    Long(i64),
    Float(f64),
    Boolean(bool),
    Date(i64),
    Label(String, String),
    Nothing,
}

fn field_and_value() -> impl Strategy<Value = (FieldId, Owned)> {
    (0..Schema::ecs().field_count()).prop_flat_map(|index| {
        let field = Schema::ecs().fields().nth(index).unwrap_or(fields::PROCESS_NAME);
        (Just(field), fitting_value(field))
    })
}

proptest! {
    #[test]
    fn texts_that_come_joined_are_as_if_they_came_one_by_one(
        groups in prop::collection::vec(prop::collection::vec("[a-\u{e9}]{0,3}", 0..4), 0..4),
        further in prop::collection::vec("[a-c]{0,2}", 0..3),
    ) {
        let schema = Schema::ecs().with_further_values(fields::PROCESS_ARGS, fields::PROCESS_NAME);
        let [mut joined, mut single] = [(); 2].map(|()| Record::with_schema(&schema));
        for (index, group) in groups.iter().enumerate() {
            let text: String = group.iter().flat_map(|text| [text, "\0"]).collect();
            joined.texts(fields::PROCESS_ARGS, &text, group.len() as u32);
            for text in group {
                single.text(fields::PROCESS_ARGS, text);
            }
            if index % 2 == 1 {
                for record in [&mut joined, &mut single] {
                    record.text(fields::PROCESS_ARGS, "between");
                }
            }
        }
        for record in [&mut joined, &mut single] {
            for text in &further {
                record.text(fields::PROCESS_NAME, text);
            }
        }
        let [of_joined, of_single] = [&joined, &single].map(|record| {
            let texts = |values: Values<'_>| values.map(|value| format!("{value:?}")).collect::<Vec<_>>();
            (
                texts(record.values(fields::PROCESS_ARGS)),
                texts(record.tested_values(fields::PROCESS_ARGS)),
                record.tested_count(fields::PROCESS_ARGS),
                record.to_document(),
            )
        });
        prop_assert_eq!(of_joined, of_single);
    }

    #[test]
    fn a_record_survives_the_way_into_a_document_and_back(pushes in prop::collection::vec(field_and_value(), 0..40)) {
        let mut record = Record::new();
        for (field, value) in &pushes {
            match value {
                Owned::Text(text) => { record.text(*field, text); }
                Owned::Address(address) => { record.address(*field, *address); }
                Owned::Long(number) => { record.long(*field, *number); }
                Owned::Float(number) => { record.push(*field, Value::Float(*number)); }
                Owned::Boolean(truth) => { record.boolean(*field, *truth); }
                Owned::Date(nanoseconds) => { record.date(*field, *nanoseconds); }
                Owned::Label(key, value) => { record.push(*field, Value::Label { key, value }); }
                Owned::Nothing => {}
            }
        }
        let written = record.to_document();
        let mut again = Record::new();
        let unknown_fields = record.count(fields::OTHERS) as u64;
        let counts = DocumentCounts { unknown_fields, ..DocumentCounts::default() };
        prop_assert_eq!(again.fill_from_document(&written), counts);
        prop_assert_eq!(&again.to_document(), &written);
        for field in record.fields().filter(|field| record.schema().field_type(*field) != FieldType::Object) {
            let values = |record: &Record| record.values(field).map(|value| format!("{value:?}")).collect::<Vec<_>>();
            prop_assert_eq!(values(&again), values(&record));
        }
    }
}
