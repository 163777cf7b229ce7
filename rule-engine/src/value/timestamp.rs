//! Dates as documents write them and as records hold them: nanoseconds since the epoch, UTC.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

/// Reads RFC 3339, a date and time without an offset (taken as UTC) or a plain date.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let timestamp = text
        .parse::<Timestamp>()
        .or_else(|_| text.parse::<DateTime>().and_then(|time| Offset::UTC.to_timestamp(time)))
        .or_else(|_| {
            text.parse::<Date>()
                .and_then(|date| Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)))
        })
        .ok()?;
    i64::try_from(timestamp.as_nanosecond()).ok()
}

/// RFC 3339 in UTC, with milliseconds, or with nanoseconds where there are any.
pub(crate) fn format(nanoseconds: i64) -> String {
    // Every i64 of nanoseconds lies within the years jiff can write.
    let timestamp = Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(Timestamp::UNIX_EPOCH);
    if nanoseconds % 1_000_000 == 0 {
        format!("{timestamp:.3}")
    } else {
        format!("{timestamp:.9}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_the_forms_documents_use() {
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", Some(1_000_000_000)),
            ("1970-01-01T00:00:00.001Z", Some(1_000_000)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1970-01-01T00:00:00", Some(0)),
            ("1970-01-02", Some(86_400_000_000_000)),
            ("9999-01-01T00:00:00Z", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn dates_are_written_with_the_digits_they_need() {
        assert_eq!(format(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(format(1_500_000_000), "1970-01-01T00:00:01.500Z");
        assert_eq!(format(1), "1970-01-01T00:00:00.000000001Z");
        for extreme in [i64::MIN, -1, i64::MAX] {
            assert_eq!(parse(&format(extreme)), Some(extreme));
        }
    }
}
