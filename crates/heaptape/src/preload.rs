//! The preload library that targets load, carried inside this program.

/// Its ELF image, made by the build script.
pub(crate) static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libheaptape_preload.so"));
