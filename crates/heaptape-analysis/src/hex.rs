//! Addresses in JSON: as `0x…` text, because JavaScript numbers end at 2^53.

use serde::Serializer;

pub(crate) fn address<S: Serializer>(address: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{address:#x}"))
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
