//! Dates relative to now: `now-1d`, `now/d`, `now-2h/h`.

use std::cmp::Ordering;

use crate::value::Order;

/// Whether now is in this order to the date. `None` if the text is no such date, or the answer changes with the time.
pub(super) fn holds_now(order: Order, text: &str) -> Option<bool> {
    let (offset, unit) = parse(text)?;
    // Elasticsearch rounds up what is after a date or until it, and down what is before or from it.
    let rounds_up = matches!(order, Order::LessOrEqual | Order::Greater);
    let now_to_date = match (offset.cmp(&0), unit) {
        (Ordering::Less, None) => Ordering::Greater,
        (Ordering::Equal, None) => Ordering::Equal,
        (Ordering::Greater, None) => Ordering::Less,
        (Ordering::Less | Ordering::Equal, Some(_)) if !rounds_up => Ordering::Greater,
        (Ordering::Greater | Ordering::Equal, Some(_)) if rounds_up => Ordering::Less,
        // Rounding does not bring it back over now.
        (Ordering::Less, Some(unit)) if -offset >= unit => Ordering::Greater,
        (Ordering::Greater, Some(unit)) if offset >= unit => Ordering::Less,
        (_, Some(_)) => return None,
    };
    Some(order.holds(now_to_date))
}

/// How many seconds the date is from now, about, and how many the unit has that it is rounded to.
fn parse(text: &str) -> Option<(i64, Option<i64>)> {
    let mut rest = text.strip_prefix("now")?;
    let mut offset = 0_i64;
    let mut rounded_to = None;
    while !rest.is_empty() {
        let (operator, behind) = rest.split_at_checked(1)?;
        rest = behind;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = rest.split_at(digits);
        let seconds: i64 = match unit.chars().next()? {
            'y' => 365 * 86_400,
            'M' => 30 * 86_400,
            'w' => 7 * 86_400,
            'd' => 86_400,
            'h' | 'H' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        rest = &unit[1..];
        let number = if number.is_empty() { 1 } else { number.parse().ok()? };
        let step = seconds.checked_mul(number)?;
        match operator {
            "+" => offset = offset.checked_add(step)?,
            "-" => offset = offset.checked_sub(step)?,
            "/" if digits == 0 => rounded_to = Some(seconds),
            _ => return None,
        }
    }
    Some((offset, rounded_to))
}
