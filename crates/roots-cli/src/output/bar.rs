//! Bars made of characters.

/// The most characters of a bar.
const WIDTH: i64 = 24;

/// A bar as long as `count` is of `most`. Anything above 0 is seen.
pub(crate) fn bar(count: i64, most: i64) -> String {
    let length = (count * WIDTH).checked_div(most).unwrap_or(0);
    let length = length.clamp(i64::from(count > 0), WIDTH);
    "█".repeat(usize::try_from(length).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_part() {
        assert_eq!(bar(0, 0), "");
        assert_eq!(bar(0, 10), "");
        assert_eq!(bar(1, 1000), "█");
        assert_eq!(bar(5, 10).chars().count(), 12);
        assert_eq!(bar(10, 10).chars().count(), 24);
    }
}
