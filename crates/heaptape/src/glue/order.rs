//! A tape and a word in either order: `at X.tape 0.5` and `at 0.5 X.tape`.

use crate::cli::TapeArgs;
use crate::failure::Failure;
use heaptape_report::text::escape;
use std::ffi::OsStr;
use std::path::Path;

/// Parses the word that stands after the tape. Words the other way round are understood when they can
/// mean nothing else: the first is no file but such a word, the second is a file. `args` then names that
/// file.
pub(crate) fn word_beside_tape<T>(
    args: &mut TapeArgs,
    word: &OsStr,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Failure> {
    if !args.tape.exists() && Path::new(word).exists() {
        let first = args.tape.to_str().and_then(|first| parse(first).ok());
        if let Some(parsed) = first {
            args.tape = word.into();
            return Ok(parsed);
        }
    }
    let wrong = |why| Failure::request(format!("\"{}\": {why}", escape(word.as_encoded_bytes())));
    word.to_str().map_or_else(|| Err("not text".to_owned()), parse).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(tape: &Path, word: &OsStr) -> Result<(u32, std::path::PathBuf), String> {
        let mut args =
            TapeArgs { tape: tape.to_owned(), process: None, debug_dir: Vec::new(), sysroot: None };
        let parse = |text: &str| text.parse().map_err(|_| "expected a number".to_owned());
        let parsed = word_beside_tape(&mut args, word, parse).map_err(|e| e.to_string())?;
        Ok((parsed, args.tape))
    }

    #[test]
    fn only_what_is_unambiguous_is_turned_round() {
        let dir = tempfile::tempdir().unwrap();
        let tape = dir.path().join("7");
        std::fs::write(&tape, "").unwrap();
        let (here, missing) = (tape.as_path(), Path::new("8"));
        assert_eq!(beside(here, OsStr::new("5")), Ok((5, here.to_owned())));
        assert_eq!(beside(missing, here.as_os_str()), Ok((8, here.to_owned())));
        assert_eq!(beside(missing, OsStr::new("5")), Ok((5, missing.to_owned())));
        let wrong = beside(here, OsStr::new("x"));
        assert_eq!(wrong, Err("\"x\": expected a number".to_owned()));
        assert!(beside(Path::new("x"), here.as_os_str()).is_err());
    }
}
