use super::*;
use proptest::prelude::*;
use serde_json::json;

fn read(shape: Shape, text: &str, piece: usize) -> Result<Vec<Read>, NotJson> {
    let mut reader = Reader::new(shape);
    let mut found = Vec::new();
    for piece in text.as_bytes().chunks(piece.max(1)) {
        reader.push(piece, &mut |value| found.push(value))?;
    }
    Ok(found)
}

fn one(text: &str) -> Read {
    let mut found = read(Shape::Values, text, usize::MAX).expect("JSON");
    assert_eq!(found.len(), 1, "{text}");
    found.remove(0)
}

#[test]
fn only_what_is_asked_for_is_kept() {
    let read = one(r#"{"Id": "a", "Env": [{"x": ["]"]}, 1], "State": {"Pid": 7, "StartedAt": null}, "RW": true}"#);
    let value = json!({"Id": "a", "State": {"StartedAt": null}, "RW": true});
    assert_eq!(read, Read { value, is_cut: false });
    assert_eq!(
        one(r#"{"Labels": {"any": "x"}}"#).value,
        json!({"Labels": {"any": "x"}})
    );
}

#[test]
fn elements_come_one_by_one_and_an_odd_one_takes_nothing_from_the_others() {
    let found = read(
        Shape::Elements,
        r#" [{"Id":"a","State":"stopped"}, 7, null, {"Id":["b"]}, {"Id":"c"}] "#,
        3,
    );
    let found: Vec<Value> = found.expect("JSON").into_iter().map(|read| read.value).collect();
    let expected = json!([{"Id": "a", "State": "stopped"}, 7, null, {"Id": ["b"]}, {"Id": "c"}]);
    assert_eq!(Value::Array(found), expected);
}

#[test]
fn what_is_no_list_is_refused() {
    for text in ["{}", "7", "\"a\"", "[] 7", "[]]", "[{]", "[}", ",[]"] {
        assert_eq!(read(Shape::Elements, text, 1), Err(NotJson), "{text}");
    }
    for text in ["}{", "{7:1}", "{[]:1}", "{\"Id\"}", "\u{1b}", "nul ", "{\"x\"}"] {
        assert_eq!(read(Shape::Values, text, 1), Err(NotJson), "{text}");
    }
}

#[test]
fn however_much_the_owner_of_a_container_says_its_name_and_image_are_read() {
    let labels: String = (0..50_000)
        .map(|number| format!(r#""aaa{number}": "{}","#, "x".repeat(90)))
        .collect();
    let mounts = format!(r#"{{"Source": "/{}"}},"#, "y".repeat(5_000)).repeat(1_000);
    let read = one(&format!(
        r#"{{"Id": "i", "Mounts": [{mounts}1], "Config": {{"Labels": {{{labels}"z": ""}}, "Image": "nginx"}}, "Name": "/web"}}"#
    ));
    assert!(read.is_cut);
    assert_eq!(
        (&read.value["Name"], &read.value["Config"]["Image"]),
        (&json!("/web"), &json!("nginx"))
    );
    assert!(read.value["Mounts"].as_array().is_some_and(|mounts| mounts.len() > 10));

    let event = one(&format!(
        r#"{{"Actor": {{"Attributes": {{{labels}"image": "nginx", "name": "web"}}}}}}"#
    ));
    let attributes = &event.value["Actor"]["Attributes"];
    assert_eq!(
        (&attributes["name"], &attributes["image"]),
        (&json!("web"), &json!("nginx"))
    );
}

#[test]
fn a_text_is_cut_between_its_characters() {
    for unit in ["a", "é", "大", "🐚", r"\n", r"\u00e9", r"\ud83d\udc1a", r"\\"] {
        let text = format!(r#"{{"Name": "x{}"}}"#, unit.repeat(TEXT_BYTES));
        let read = one(&text);
        assert!(read.is_cut);
        let name = read.value["Name"].as_str().expect("a text");
        assert!(name.len() > TEXT_BYTES / 12 && !name.contains('\u{fffd}'), "{unit}");
    }
}

#[test]
fn an_endless_value_takes_no_more_memory_than_its_limits() {
    let endless = [
        "x",
        "[",
        "{\"Config\":",
        "[1,",
        "\"",
        "[\"a\",",
        "{\"Labels\":{\"x",
        " ",
        "1",
        "[{},",
    ];
    for unit in endless {
        let mut reader = Reader::new(Shape::Values);
        for _ in 0..200_000 {
            let _ = reader.push(unit.as_bytes(), &mut |_| {});
            let taken = reader.text.capacity() + reader.bytes;
            assert!(
                taken <= 2 * TEXT_BYTES + VALUE_BYTES && reader.levels.len() <= DEPTH,
                "{unit}"
            );
        }
    }
}

/// JSON of which every member is asked for, within the limits.
fn small() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,20}|.{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let keys = prop::sample::select(KEYS.iter().filter(|key| !MAPS.contains(key)).collect::<Vec<_>>());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(keys.prop_map(|key| (*key).to_owned()), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_small_is_read_as_it_is(value in small(), piece in 1..40_usize) {
        let found = read(Shape::Values, &format!("{value} "), piece).expect("JSON");
        prop_assert_eq!(found, [Read { value: value.clone(), is_cut: false }]);
        let found = read(Shape::Elements, &format!("[{value},\n{value}]"), piece).expect("JSON");
        prop_assert!(found.iter().all(|found| found.value == value) && found.len() == 2);
    }

    #[test]
    fn where_the_pieces_end_does_not_matter(text in r#"[\[\]{}:, "a1\\]{0,60}|[\[\]{}:,]{0,20}|.{0,40}"#, piece in 1..7_usize) {
        for shape in [Shape::Values, Shape::Elements] {
            prop_assert_eq!(read(shape, &text, piece), read(shape, &text, usize::MAX));
        }
    }
}
