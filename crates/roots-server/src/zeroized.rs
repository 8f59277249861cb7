//! Text with secrets, which is zeroized when it is dropped.

use std::fmt::{self, Write};

use zeroize::Zeroizing;

/// Formats a text. It computes the length first: a growing text is moved, and would leave the
/// secrets behind.
pub(crate) fn text(arguments: fmt::Arguments<'_>) -> Zeroizing<String> {
    let mut length = Length(0);
    // Writing to these never fails.
    let _ = length.write_fmt(arguments);
    let mut text = Zeroizing::new(String::with_capacity(length.0));
    let _ = text.write_fmt(arguments);
    text
}

struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.0 += piece.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zeroized_text_is_allocated_once_at_its_full_size() {
        let long = "é".repeat(1_000);
        let written = text(format_args!("a {long} b {long}"));
        assert_eq!(*written, format!("a {long} b {long}"));
        assert_eq!(written.capacity(), written.len());
    }
}
