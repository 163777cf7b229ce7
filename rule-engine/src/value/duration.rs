//! Lengths of time as rules write them: `30s`, `5m`, `12h`, `14d`, `2w`, and `500ms` in EQL.

/// Nanoseconds of each unit.
const UNITS: [(&str, i64); 6] = [
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 7 * 86_400_000_000_000),
];

fn unit_ns(unit: &str) -> Option<i64> {
    UNITS.into_iter().find(|(name, _)| *name == unit).map(|(_, ns)| ns)
}

/// In milliseconds.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    from_unit(number.parse().ok()?, unit)
}

/// So many of a unit, in milliseconds. Rule files have no unit below a second.
pub(crate) fn from_unit(number: i64, unit: &str) -> Option<i64> {
    let unit_ms = unit_ns(unit).filter(|_| unit != "ms")? / 1_000_000;
    number.checked_mul(unit_ms)
}

/// So many of a unit in EQL, in nanoseconds. EQL has no weeks.
pub(crate) fn of_eql_ns(number: i64, unit: &str) -> Option<i64> {
    number.checked_mul(unit_ns(unit).filter(|_| unit != "w")?)
}

/// `now-14d`: how far back, in milliseconds, above 0.
pub(crate) fn parse_look_back(text: &str) -> Option<i64> {
    parse(text.trim().strip_prefix("now-")?).filter(|length| *length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_with_their_unit() {
        for (text, expected) in [
            ("1s", Some(1_000)),
            ("90m", Some(5_400_000)),
            ("14d", Some(14 * 86_400_000)),
            ("2w", Some(14 * 86_400_000)),
            ("0s", Some(0)),
            ("h", None),
            ("5", None),
            ("1y", None),
            ("99999999999999d", None),
            ("-1d", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(parse("5ms"), None);
        assert_eq!(of_eql_ns(500, "ms"), Some(500_000_000));
        assert_eq!(of_eql_ns(2, "d"), Some(2 * 86_400_000_000_000));
        assert_eq!(of_eql_ns(1, "w"), None);
        assert_eq!(of_eql_ns(i64::MAX, "s"), None);
        assert_eq!(parse_look_back("now-14d"), Some(14 * 86_400_000));
        assert_eq!(parse_look_back("14d"), None);
        assert_eq!(parse_look_back("now-0d"), None);
    }
}
