//! Dates as documents write them and as records hold them: nanoseconds since the epoch, UTC.

use std::ops::RangeInclusive;

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{Span, Timestamp, ToSpan as _};

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

/// The same, and a date that leaves out minutes, hours, days or months.
pub(crate) fn parse_any(text: &str) -> Option<i64> {
    parse(text).or_else(|| Some(*interval(text)?.start()))
}

/// The first and the last nanosecond of what a date in a query stands for: a date that ends with its year, month, day,
/// hour, minute or second is all of that, as in Elasticsearch; milliseconds since 1970 are one of these.
pub(crate) fn interval(text: &str) -> Option<RangeInclusive<i64>> {
    // Four digits are a year.
    if text.len() > 4
        && let Ok(milliseconds) = text.parse::<i64>()
    {
        let first = milliseconds.checked_mul(1_000_000)?;
        return Some(first..=first.checked_add(999_999)?);
    }
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
    let zone = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone);
    let date: Vec<&str> = date.split('-').collect();
    let time: Vec<&str> = time.split(':').filter(|part| !part.is_empty()).collect();
    let whole: Span = match (date.len(), time.len()) {
        (1, 0) => 1.year(),
        (2, 0) => 1.month(),
        (3, 0) => 1.day(),
        (3, 1) => 1.hour(),
        (3, 2) => 1.minute(),
        (3, 3) if !time[2].contains('.') => 1.second(),
        (3, 3) => 1.nanosecond(),
        _ => return None,
    };
    let part = |parts: &[&str], at: usize, missing: &'static str| (*parts.get(at).unwrap_or(&missing)).to_owned();
    let complete = format!(
        "{}-{}-{}T{}:{}:{}",
        part(&date, 0, ""),
        part(&date, 1, "01"),
        part(&date, 2, "01"),
        part(&time, 0, "00"),
        part(&time, 1, "00"),
        part(&time, 2, "00"),
    );
    let start: DateTime = complete.parse().ok()?;
    let end = start.checked_add(whole).ok()?.checked_sub(1.nanosecond()).ok()?;
    let nanoseconds = |time: DateTime| parse(&format!("{time}{zone}"));
    Some(nanoseconds(start)?..=nanoseconds(end)?)
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
    fn a_date_in_a_query_is_all_that_it_leaves_open() {
        for (text, first, last) in [
            ("2026", "2026-01-01T00:00:00Z", "2026-12-31T23:59:59.999999999Z"),
            ("2024-02", "2024-02-01T00:00:00Z", "2024-02-29T23:59:59.999999999Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z", "2026-01-31T23:59:59.999999999Z"),
            (
                "2026-01-31T10",
                "2026-01-31T10:00:00Z",
                "2026-01-31T10:59:59.999999999Z",
            ),
            (
                "2026-01-31T10:30+02:00",
                "2026-01-31T08:30:00Z",
                "2026-01-31T08:30:59.999999999Z",
            ),
            (
                "2026-01-31T10:30:05Z",
                "2026-01-31T10:30:05Z",
                "2026-01-31T10:30:05.999999999Z",
            ),
            (
                "2026-01-31T10:30:05.25Z",
                "2026-01-31T10:30:05.25Z",
                "2026-01-31T10:30:05.25Z",
            ),
            (
                "1769855405250",
                "2026-01-31T10:30:05.25Z",
                "2026-01-31T10:30:05.250999999Z",
            ),
        ] {
            let expected = parse(first).zip(parse(last)).map(|(first, last)| first..=last);
            assert_eq!(interval(text), expected, "{text}");
        }
        for text in [
            "",
            "x",
            "26",
            "2026-13",
            "2026-01-31T",
            "2026-02-30",
            "2026-01-31T25",
            "2026T10",
            "now",
            "2026-01-31T10:30:05:01",
        ] {
            let whole_day = text == "2026-01-31T";
            assert_eq!(interval(text).is_some(), whole_day, "{text}");
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
