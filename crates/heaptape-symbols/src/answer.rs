//! What the symbolizer answers: frames, and why a name is missing.

use std::fmt;
use std::path::PathBuf;

/// One named level of a backtrace; several share one address where functions were inlined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The function, demangled with parameters where the mangled name has them.
    pub function: Option<String>,
    /// The function as the file states it; `None` only when `function` is.
    pub raw_function: Option<String>,
    /// Source file, as the compiler recorded it (absolute when the compiler knew its directory).
    pub file: Option<String>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column, from 1.
    pub column: Option<u32>,
    /// Whether this function was inlined into the next frame.
    pub inlined: bool,
}

/// The names of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Innermost (inlined) first. Never empty: an address without a name is one frame of `None`s.
    pub frames: Vec<Frame>,
    /// Why the function is unknown, or known without file and line. `None` when all is known.
    pub why: Option<Reason>,
}

impl Resolved {
    /// Whether at least a function name was found.
    pub fn is_named(&self) -> bool {
        self.frames.iter().any(|frame| frame.function.is_some())
    }

    pub(crate) fn unnamed(why: Reason) -> Resolved {
        Resolved { frames: vec![Frame::default()], why: Some(why) }
    }
}

/// Why an address has no name, or a name without file and line. Displayed as a sentence without a
/// full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The kernel's page of code; it is no file.
    Vdso,
    /// No file of that name was found.
    FileMissing {
        /// Where it was looked for, in order.
        searched: Vec<PathBuf>,
    },
    /// A file was found, but it is not the one that was recorded.
    BuildIdMismatch {
        /// The build id on the tape.
        expected: Vec<u8>,
        /// The file's build id; `None` when it has none.
        found: Option<Vec<u8>>,
        /// The file.
        path: PathBuf,
    },
    /// The file is not an ELF file.
    NotElf {
        /// The file.
        path: PathBuf,
    },
    /// The file has neither debug information nor symbols.
    NoSymbols,
    /// The file has no debug information: names come from its symbol table alone.
    NoDebugInfo,
    /// The debug information does not tell the line of this address: assembler, or code the compiler
    /// made up.
    NoLine,
    /// Neither the file's symbols nor its debug information name this address.
    AddressNotCovered,
    /// The file or its debug information could not be read; the text says what is wrong.
    Unreadable(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Vdso => f.write_str("the vdso is code of the kernel, not a file"),
            Reason::FileMissing { searched } if searched.is_empty() => {
                f.write_str("no file is mapped there")
            }
            Reason::FileMissing { searched } => {
                f.write_str("file not found; searched ")?;
                for (i, path) in searched.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { ", " }, path.display())?;
                }
                Ok(())
            }
            Reason::BuildIdMismatch { expected, found, path } => {
                write!(f, "{} is another build: ", path.display())?;
                match found {
                    Some(found) => write!(f, "its build id is {}", Hex(found))?,
                    None => f.write_str("it has no build id")?,
                }
                write!(f, ", recorded was {}", Hex(expected))
            }
            Reason::NotElf { path } => write!(f, "{} is not an ELF file", path.display()),
            Reason::NoSymbols => f.write_str("the file has no symbols and no debug information"),
            Reason::NoDebugInfo => {
                f.write_str("the file has no debug information; names come from its symbol table")
            }
            Reason::NoLine => {
                f.write_str("the debug information does not tell the line of this address")
            }
            Reason::AddressNotCovered => f.write_str(
                "neither the file's symbols nor its debug information name this address",
            ),
            Reason::Unreadable(what) => write!(f, "unreadable: {what}"),
        }
    }
}

/// Which files name a module's addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleState {
    /// The module itself, where it was found.
    pub image: Option<PathBuf>,
    /// The file its debug information comes from; equal to `image` when not separate.
    pub debug: Option<PathBuf>,
    /// The supplementary (dwz) file the debug information refers to.
    pub supplementary: Option<PathBuf>,
    /// Whether the files were checked against the build id on the tape. `false` means the tape has
    /// none for this module, and the names are those of whatever file is there now.
    pub build_id_checked: bool,
    /// Symbols usable for naming functions (0 when there is only debug information).
    pub symbol_count: usize,
    /// Why names or lines are missing; `None` when the debug information is complete.
    pub why: Option<Reason>,
}

/// Bytes as lower-case hex digits.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
