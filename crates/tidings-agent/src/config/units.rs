//! Durations and sizes, as people write them.

use std::time::Duration;

use serde_json::Value;

/// The units of sizes, largest first.
const UNITS: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `500ms`, `1s`, `2m`.
pub(super) fn duration(given: &Value) -> Option<Duration> {
    humantime::parse_duration(given.as_str()?).ok()
}

/// Reads `1200B`, `64KiB`, `8MiB`: whole numbers with a unit, so that nobody has to guess.
pub(super) fn size(given: &Value) -> Option<usize> {
    let text = given.as_str()?;
    let (number, unit) = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<usize>().ok().filter(|_| digits)?.checked_mul(*unit)
}

/// Writes a size in the largest unit that leaves a whole number.
pub(super) fn show_size(bytes: usize) -> String {
    let fits = UNITS.iter().find(|(_, unit)| bytes != 0 && bytes.is_multiple_of(*unit));
    let (name, unit) = fits.unwrap_or(&("B", 1));
    format!("{}{name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        let read = |text: &str| size(&json!(text));
        assert_eq!(["1200B", "64KiB", "8MiB", "4GiB"].map(read), [1_200, 65_536, 8 << 20, 4 << 30].map(Some));
        for wrong in ["", "B", "8", "1.5MiB", "8MB", "8 MiB", "+8B", "-8B", "8mib", "99999999999999999999B"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        assert_eq!(read("18014398509481984KiB"), None, "more than can be counted");
    }

    #[test]
    fn sizes_are_shown_in_their_largest_unit() {
        assert_eq!([1_200, 65_536, 8 << 20, 1_025].map(show_size), ["1200B", "64KiB", "8MiB", "1025B"]);
    }
}
