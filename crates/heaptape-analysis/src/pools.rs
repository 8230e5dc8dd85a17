//! Memory that a language runtime keeps on purpose: never freed, and nobody's mistake.
//!
//! One rule, as narrow as can be: a single block of one of [`LIBSTDCXX_POOL_SIZES`] whose call site lies
//! in the shared libstdc++ is the pool from which it throws exceptions when memory has run out. It is
//! marked, and counted as any other block.

use crate::metric::Weight;
use crate::sites::Site;

/// Sizes of libstdc++'s emergency pool on x86-64: GCC 5 to 12, and 13 and later.
pub const LIBSTDCXX_POOL_SIZES: [u64; 2] = [72_704, 73_728];

/// What the runtime keeps at this call site, if it is known to.
pub fn known_pool(site: &Site, weight: &Weight) -> Option<&'static str> {
    let module = site.frame.as_ref()?.module.as_deref()?;
    let is_pool = module.starts_with("libstdc++.so")
        && weight.blocks == 1
        && LIBSTDCXX_POOL_SIZES.contains(&weight.bytes);
    is_pool.then_some("emergency pool")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frame;

    #[test]
    fn only_the_pool_is_the_pool() {
        let known = |module: &str, bytes, blocks| {
            let frame = Frame {
                function: "f".into(),
                short: "f".into(),
                file: None,
                line: 0,
                module: Some(module.into()),
                inlined: false,
                why: None,
                named: true,
            };
            known_pool(&Site { frame: Some(frame) }, &Weight { bytes, blocks }).is_some()
        };
        assert!(known("libstdc++.so.6", 72_704, 1) && known("libstdc++.so.6.0.33", 73_728, 1));
        assert!(!known("libstdc++.so.6", 72_704, 2));
        assert!(!known("libstdc++.so.6", 72_705, 1));
        assert!(!known("demo", 72_704, 1));
        assert!(known_pool(&Site { frame: None }, &Weight { bytes: 72_704, blocks: 1 }).is_none());
    }
}
