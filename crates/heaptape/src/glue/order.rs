//! A tape and a word in either order: `at X.tape 0.5` and `at 0.5 X.tape`.

use crate::cli::TapeArgs;
use crate::failure::Failure;
use heaptape_report::text::escape;
use std::ffi::OsStr;
use std::path::Path;

/// Parses the word that stands beside the tape. Both the other way round are understood when the first
/// is no file and only that order can be meant; `args` then names the right file.
pub(crate) fn word_beside_tape<T>(
    args: &mut TapeArgs,
    word: &OsStr,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Failure> {
    let parse = |word: &OsStr| {
        let parsed = word.to_str().map_or_else(|| Err("not UTF-8".to_owned()), &parse);
        parsed.map_err(|why| format!("\"{}\": {why}", escape(word.as_encoded_bytes())))
    };
    let (first, second) = (parse(args.tape.as_os_str()), parse(word));
    let is_turned_round = !args.tape.exists()
        && match (&first, &second) {
            (Ok(_), Err(_)) => true,
            (Err(_), Ok(_)) => false,
            (Ok(_), Ok(_)) | (Err(_), Err(_)) => Path::new(word).exists(),
        };
    if is_turned_round {
        args.tape = word.into();
        return first.map_err(Failure::request);
    }
    second.map_err(Failure::request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(tape: &Path, word: &OsStr) -> Result<(u32, std::path::PathBuf), String> {
        let mut args = TapeArgs::of(tape.to_owned());
        let parse = |text: &str| text.parse().map_err(|_| "expected a number".to_owned());
        let parsed = word_beside_tape(&mut args, word, parse).map_err(|e| e.to_string())?;
        Ok((parsed, args.tape))
    }

    #[test]
    fn only_what_is_unambiguous_is_turned_round() {
        let dir = tempfile::tempdir().unwrap();
        let tape = dir.path().join("demo.tape");
        std::fs::write(&tape, "").unwrap();
        let (here, missing) = (tape.as_path(), Path::new("8"));
        assert_eq!(beside(here, OsStr::new("5")), Ok((5, here.to_owned())));
        assert_eq!(beside(missing, here.as_os_str()), Ok((8, here.to_owned())));
        assert_eq!(beside(missing, OsStr::new("5")), Ok((5, missing.to_owned())));
        let wrong = Err("\"x\": expected a number".to_owned());
        assert_eq!(beside(here, OsStr::new("x")), wrong);
        assert_eq!(beside(Path::new("x"), here.as_os_str()), wrong);
        assert_eq!(beside(missing, OsStr::new("x")), Ok((8, "x".into())));
        assert_eq!(beside(Path::new("x"), OsStr::new("8")), Ok((8, "x".into())));
    }
}
