//! What others say, for a terminal.

/// The same text without characters that move the cursor, colour, ring, hide or reverse: nobody
/// draws on another's screen.
pub fn plain(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if harmful(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_draws_on_anothers_screen() {
        assert_eq!(plain("a\x1b[2Jb\r\n\x07\u{9b}31m\u{202e}c"), "a�[2Jb����31m�c");
        assert_eq!(plain("grüße, 世界 🙂"), "grüße, 世界 🙂");
    }
}
