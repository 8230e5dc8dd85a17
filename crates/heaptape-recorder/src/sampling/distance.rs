//! Exponentially distributed distances, in integers.
//!
//! Floating-point arithmetic would leave its traces in the program's exception flags, or trap where the
//! program has asked for that.

/// ln 2, times 2^32.
const LN_2: u128 = 2_977_044_472;

/// The next random number (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
/// 2014).
pub(super) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// −log2 of `random` / 2^64, times 2^32; 0 is taken for 1. The error is below 2^-30.
fn minus_log2(random: u64) -> u64 {
    let zeros = random.max(1).leading_zeros();
    // `random` / 2^64 is (m / 2^63) / 2^(zeros + 1), with m / 2^63 from 1 to 2. Its logarithm is found bit by bit:
    // squaring doubles it.
    let mut m = random.max(1) << zeros;
    let mut fraction = 0u64;
    for _ in 0..32 {
        let square = (u128::from(m) * u128::from(m)) >> 63;
        let carry = square >> 64 != 0;
        m = if carry { (square >> 1) as u64 } else { square as u64 };
        fraction = fraction << 1 | u64::from(carry);
    }
    (u64::from(zeros + 1) << 32) - fraction
}

/// How many bytes on the chosen one is, at least 1, for a mean distance of `mean` bytes (below 2^48).
pub(super) fn exponential(random: u64, mean: u64) -> u64 {
    // At most (65 << 32) · ln 2 · 2^32 · 2^48.
    let scaled = u128::from(minus_log2(random)) * LN_2 * u128::from(mean);
    // Rounded up: the byte in which the distance ends is the chosen one.
    (scaled.div_ceil(1 << 64) as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_that_of_the_standard_library() {
        let mut state = 1;
        let randoms = (0..200_000).map(|_| next(&mut state));
        let edges = [0, 1, 2, 3, u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, (1 << 63) + 1];
        for random in randoms.chain(edges) {
            let expected = -(random.max(1) as f64 / 2f64.powi(64)).log2();
            let found = minus_log2(random) as f64 / 2f64.powi(32);
            assert!((expected - found).abs() < 1e-9, "{random}: {found}, not {expected}");
        }
        assert!((LN_2 as f64 / 2f64.powi(32) - std::f64::consts::LN_2).abs() < 1e-9);
    }

    /// With a fixed seed, so that it holds always or never; the bounds are six standard errors.
    #[test]
    fn distances_are_exponential() {
        const DRAWS: u32 = 200_000;
        const MEAN: u64 = 524_288;
        let mut state = 42;
        let distances: Vec<u64> = (0..DRAWS).map(|_| exponential(next(&mut state), MEAN)).collect();
        let n = f64::from(DRAWS);
        let mean = distances.iter().map(|&d| d as f64).sum::<f64>() / n;
        assert!((mean / MEAN as f64 - 1.0).abs() < 6.0 / n.sqrt(), "{mean}");
        for bytes in [1_000, 100_000, 524_288, 2_000_000] {
            let expected = 1.0 - (-(bytes as f64) / MEAN as f64).exp();
            let found = distances.iter().filter(|&&d| d <= bytes).count() as f64 / n;
            let error = (expected * (1.0 - expected) / n).sqrt();
            assert!((found - expected).abs() < 6.0 * error, "{bytes}: {found}, not {expected}");
        }
    }

    #[test]
    fn no_distance_is_nothing_and_none_overflows() {
        assert_eq!(exponential(u64::MAX, 2), 1);
        let longest = exponential(0, (1 << 48) - 1);
        assert!(longest > 44 << 48 && longest < 46 << 48, "{longest}");
    }
}
