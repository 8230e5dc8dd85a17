//! Addresses in JSON: as `0x…` text, because JavaScript numbers end at 2^53.

use serde::Serializer;

pub(crate) fn address<S: Serializer>(address: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{address:#x}"))
}

/// Bytes as pairs of digits.
pub(crate) fn bytes<S: Serializer>(
    bytes: impl AsRef<[u8]>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let digits: String = bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    serializer.serialize_str(&digits)
}

pub(crate) fn some_address<S: Serializer>(
    address: &Option<u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => self::address(address, serializer),
        None => serializer.serialize_none(),
    }
}
