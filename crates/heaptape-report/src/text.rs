//! Text from the recorded program, made harmless, and fitted into columns.

use crate::canvas::Canvas;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Bytes of any origin as one line of printable text: control characters, characters that change the
/// direction of text, invisible ones and invalid UTF-8 are written as escapes.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_escaped(&mut text, c));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

fn push_escaped(text: &mut String, c: char) {
    match c {
        '"' | '\'' | '\\' => text.push(c),
        // Everything that Rust's debug form escapes: Cc, Cf (bidi, zero width), Zl, Zp, Co, Cn …
        _ => text.extend(c.escape_debug()),
    }
}

/// Text from the recorded program as this canvas may show it.
pub fn shown(canvas: &Canvas, text: &str) -> String {
    let escaped = escape(text.as_bytes());
    if canvas.unicode || escaped.is_ascii() {
        return escaped;
    }
    let ascii = |c: char| match c {
        '\u{2026}' => "..".to_owned(), // in our own short names
        c if c.is_ascii() => c.to_string(),
        c => c.escape_unicode().to_string(),
    };
    escaped.chars().map(ascii).collect()
}

/// A command line on one line, as a shell would take it: words that it would split or read otherwise are in quotes.
pub fn command(canvas: &Canvas, words: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_@%+=:,./-".contains(c);
    let quoted = |word: &String| {
        let shown = shown(canvas, word);
        let as_it_is = !word.is_empty() && word.chars().all(plain);
        if as_it_is { shown } else { format!("'{}'", shown.replace('\'', r"'\''")) }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text, shortened in its middle to at most `columns` columns.
pub fn shrink(canvas: &Canvas, text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let gap = canvas.sign("\u{2026}", "..");
    let Some(room) = columns.checked_sub(width(gap)) else {
        return gap.chars().take(columns).collect();
    };
    let head = take_columns(text.chars(), room.div_ceil(2));
    let tail = take_columns(text.chars().rev(), room / 2);
    let tail: String = tail.chars().rev().collect();
    format!("{head}{gap}{tail}")
}

fn take_columns(chars: impl Iterator<Item = char>, columns: usize) -> String {
    let mut left = columns;
    chars
        .take_while(|c| match left.checked_sub(c.width().unwrap_or(0)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        })
        .collect()
}

/// The text, filled with spaces on the right to `columns` columns.
pub fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The text, filled with spaces on the left to `columns` columns.
pub fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Parts on as few lines as fit, `gap` spaces between them, further lines indented by `indent`.
pub fn wrap(parts: &[String], gap: usize, indent: usize, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if width(line) + gap + width(part) <= columns => {
                line.push_str(&" ".repeat(gap));
                line.push_str(part);
            }
            Some(_) => lines.push(format!("{}{part}", " ".repeat(indent))),
            None => lines.push(part.clone()),
        }
    }
    lines
}

/// A sentence, broken between words.
pub fn wrap_words(text: &str, indent: usize, columns: usize) -> Vec<String> {
    let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    wrap(&words, 1, indent, columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CANVAS: Canvas = Canvas { width: 80, color: false, unicode: true };

    #[test]
    fn hostile_text_is_escaped() {
        assert_eq!(escape(b"a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escape("a\u{202e}b\u{200b}".as_bytes()), "a\\u{202e}b\\u{200b}");
        assert_eq!(escape(b"a\nb\xff\"c\""), "a\\nb\\xff\"c\"");
        assert_eq!(escape("h\u{e9}ap".as_bytes()), "h\u{e9}ap");
        let seven_bit = Canvas { unicode: false, ..CANVAS };
        assert_eq!(shown(&seven_bit, "h\u{e9}ap"), "h\\u{e9}ap");
    }

    #[test]
    fn a_command_line_shows_where_its_words_end() {
        let line = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            command(&CANVAS, &words)
        };
        assert_eq!(
            line(&["redis-server", "--save", "", "--port=1"]),
            "redis-server --save '' --port=1"
        );
        assert_eq!(line(&["sh", "-c", "kill -9 $$"]), "sh -c 'kill -9 $$'");
        assert_eq!(line(&["a", "it's"]), r"a 'it'\''s'");
        assert_eq!(line(&["h\u{e9}ap", "a\tb"]), "h\u{e9}ap 'a\\tb'");
    }

    #[test]
    fn names_lose_their_middle() {
        assert_eq!(shrink(&CANVAS, "abcdefghij", 10), "abcdefghij");
        assert_eq!(shrink(&CANVAS, "abcdefghij", 7), "abc\u{2026}hij");
        assert_eq!(shrink(&CANVAS, "abcdefghij", 0), "");
    }

    proptest! {
        #[test]
        fn nothing_shrunk_is_too_wide(text in "\\PC{0,40}", columns in 0_usize..30, unicode: bool) {
            let canvas = Canvas { unicode, ..CANVAS };
            let shown = shown(&canvas, &text);
            prop_assert!(width(&shrink(&canvas, &shown, columns)) <= columns.max(width(&shown).min(columns)));
        }

        #[test]
        fn no_control_character_survives(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(!escape(&bytes).chars().any(char::is_control));
        }

        #[test]
        fn wrapped_lines_fit(words in prop::collection::vec("[a-z]{1,9}", 0..30), columns in 12_usize..40) {
            let text = words.join(" ");
            for line in wrap_words(&text, 2, columns) {
                prop_assert!(width(&line) <= columns);
            }
        }
    }
}
