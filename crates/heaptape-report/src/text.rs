//! Text from the recorded program, made harmless.

/// Bytes of any origin as one line of printable text.
pub fn escape(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}
