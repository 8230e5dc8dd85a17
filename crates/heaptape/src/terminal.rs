//! What the terminal can show: colour, width, characters. Asked here, decided once, passed on.
//!
//! Colour: `--color` wins, then `NO_COLOR`, then `CLICOLOR_FORCE`, then whether the stream is a terminal.

use anstream::AutoStream;
use anstream::stream::RawStream;
use heaptape_report::Canvas;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

/// When to colour the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Width of output that is not for a terminal, columns.
const PIPED_WIDTH: usize = 100;

/// Makes `--color` known to every stream of this process.
pub(crate) fn choose_color(color: Color) {
    use anstream::ColorChoice;
    match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    }
    .write_global();
}

/// What standard output can show.
pub(crate) fn stdout() -> Canvas {
    canvas(&io::stdout())
}

/// What standard error can show.
pub(crate) fn stderr() -> Canvas {
    canvas(&io::stderr())
}

fn canvas(stream: &(impl RawStream + AsFd)) -> Canvas {
    Canvas {
        width: terminal_size::terminal_size_of(stream)
            .map_or(PIPED_WIDTH, |(width, _)| usize::from(width.0).max(20)),
        color: AutoStream::choice(stream) != anstream::ColorChoice::Never,
        unicode: is_utf8_locale(|name| std::env::var(name).ok()),
    }
}

/// Whether standard error is a terminal.
pub(crate) fn is_stderr_seen() -> bool {
    io::stderr().is_terminal()
}

/// Whether progress may be drawn on standard error.
pub(crate) fn shows_progress() -> bool {
    is_stderr_seen() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether the locale's characters are UTF-8, by the variables in their order of precedence.
///
/// No variable at all (cron, containers) is taken as UTF-8, as every current distribution does.
fn is_utf8_locale(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    locale.is_none_or(|locale| {
        let charset = locale.to_ascii_lowercase();
        charset.contains("utf-8") || charset.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::is_utf8_locale;

    fn locale(pairs: &[(&str, &str)]) -> bool {
        is_utf8_locale(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_most_specific_variable_that_is_set_decides() {
        assert!(locale(&[("LANG", "de_DE.UTF-8")]));
        assert!(locale(&[("LC_ALL", ""), ("LANG", "C.utf8")]));
        assert!(!locale(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!locale(&[("LANG", "de_DE.ISO-8859-1")]));
        assert!(locale(&[]));
    }
}
