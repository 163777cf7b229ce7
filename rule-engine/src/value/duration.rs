//! Lengths of time as rules write them: `30s`, `5m`, `12h`, `14d`, `2w`.

const UNITS: [(&str, i64); 5] = [
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 7 * 86_400_000),
];

/// In milliseconds.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    of(number.parse().ok()?, unit)
}

/// So many of a unit, in milliseconds.
pub(crate) fn of(number: i64, unit: &str) -> Option<i64> {
    let (_, milliseconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(milliseconds)
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
        assert_eq!(parse_look_back("now-14d"), Some(14 * 86_400_000));
        assert_eq!(parse_look_back("14d"), None);
        assert_eq!(parse_look_back("now-0d"), None);
    }
}
