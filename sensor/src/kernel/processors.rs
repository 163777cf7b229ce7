//! Which processors there may be. Their numbers may have holes, so there can be fewer than the highest number says.

use std::{fs, io};

use super::error::KernelError;

const POSSIBLE: &str = "/sys/devices/system/cpu/possible";

/// The numbers of all processors that may ever run, in ascending order. A per-CPU map has a value for each of them.
pub(super) fn possible() -> Result<Vec<u32>, KernelError> {
    fs::read_to_string(POSSIBLE)
        .and_then(|text| {
            parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a list of numbers"))
        })
        .map_err(|error| KernelError::new(format!("read {POSSIBLE}"), &error))
}

/// Numbers and ranges of them, as the kernel writes a set: `0-3,8`.
fn parse(text: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for range in text.trim_end().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        numbers.extend(first.parse::<u32>().ok()?..=last.parse().ok()?);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_processors_may_have_holes() {
        assert_eq!(parse("0-3,8,10-11\n").unwrap(), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(parse("0\n").unwrap(), [0]);
        assert_eq!(parse("0-x\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn each_value_of_a_per_cpu_map_belongs_to_one_processor() {
        assert_eq!(possible().unwrap().len(), aya::util::nr_cpus().unwrap());
    }
}
