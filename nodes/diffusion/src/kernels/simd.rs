//! Loops compiled once for every vector width, and the polynomial functions they call.
//!
//! The loops are plain Rust that the compiler vectorises. Nothing is fused (no multiply-add) and every sum has a
//! fixed number of lanes, so a loop gives the same bits on every instruction set.

/// Defines a function that is compiled for baseline, AVX2 and AVX-512, and picks the widest that the CPU has.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn portable($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn wide($($arg: $ty),*) $(-> $ret)? {
                    portable($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn middle($($arg: $ty),*) $(-> $ret)? {
                    portable($($arg),*)
                }
                if std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512dq")
                    && std::arch::is_x86_feature_detected!("avx512vl")
                    && std::arch::is_x86_feature_detected!("fma")
                {
                    // SAFETY: this CPU has every feature that the function was compiled for.
                    return unsafe { wide($($arg),*) };
                }
                if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                    // SAFETY: as above.
                    return unsafe { middle($($arg),*) };
                }
            }
            portable($($arg),*)
        }
    };
}
pub(super) use vectorised;

/// Lanes of a sum: two registers of AVX-512.
pub(super) const LANES: usize = 32;
/// Values that are summed in f32 before the sum goes on in f64.
const RUN: usize = 4096;

/// eˣ to about 1 ulp; 0 below -87.3, finite above 88.3 (where f32 ends), NaN for NaN. Cephes' polynomial.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -87.3;
    const HIGHEST: f32 = 88.3;
    /// 1.5 · 2²³: adding it rounds to an integer, whose two's complement is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let bounded = if x > HIGHEST { HIGHEST } else { x };
    let bounded = if bounded < LOWEST { LOWEST } else { bounded };
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = bounded - n * 0.693_359_4;
    let r = r + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let mantissa = p * r * r + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    let y = mantissa * power;
    if x < LOWEST { 0.0 } else { y }
}

/// `1 / (1 + e⁻ˣ)`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `x · sigmoid(x)`.
#[inline(always)]
pub(super) fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

/// Derivative of [`silu`].
#[inline(always)]
pub(super) fn silu_slope(x: f32) -> f32 {
    let s = sigmoid(x);
    s + x * s * (1.0 - s)
}

/// The normal distribution function Φ(x) and `e^(-x²/2)`. Φ to 1.5e-7, and better in the tails: the error function of
/// Abramowitz and Stegun, 7.1.26, which is also the one of PyTorch's vectorised GELU.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    let bell = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * x.abs());
    let mut p = 1.061_405_4;
    p = p * t - 1.453_152;
    p = p * t + 1.421_413_7;
    p = p * t - 0.284_496_74;
    p = p * t + 0.254_829_6;
    let tail = 0.5 * p * t * bell;
    (if x < 0.0 { tail } else { 1.0 - tail }, bell)
}

/// The exact GELU, `x · Φ(x)`.
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    x * normal(x).0
}

/// Derivative of [`gelu`], `Φ(x) + x φ(x)`.
#[inline(always)]
pub(super) fn gelu_slope(x: f32) -> f32 {
    const PEAK: f32 = 0.398_942_3;
    let (below, bell) = normal(x);
    below + x * PEAK * bell
}

/// Sum of `f(a)`: f32 in lanes over a run, f64 over the runs.
#[inline(always)]
pub(super) fn sum(a: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    let mut total = 0.0;
    for a in a.chunks(RUN) {
        let mut lanes = [0f32; LANES];
        let chunks = a.chunks_exact(LANES);
        for &v in chunks.remainder() {
            total += f64::from(f(v));
        }
        for chunk in chunks {
            for (lane, &v) in lanes.iter_mut().zip(chunk) {
                *lane += f(v);
            }
        }
        total += lanes.iter().map(|&v| f64::from(v)).sum::<f64>();
    }
    total
}

/// Two sums at once over a pair of slices of one length.
#[inline(always)]
pub(super) fn sum_pair(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> (f32, f32)) -> (f64, f64) {
    let (mut first, mut second) = (0.0, 0.0);
    for (a, b) in a.chunks(RUN).zip(b.chunks(RUN)) {
        let (mut x, mut y) = ([0f32; LANES], [0f32; LANES]);
        let (chunks_a, chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        for (&a, &b) in chunks_a.remainder().iter().zip(chunks_b.remainder()) {
            let (u, v) = f(a, b);
            first += f64::from(u);
            second += f64::from(v);
        }
        for (a, b) in chunks_a.zip(chunks_b) {
            for (((x, y), &a), &b) in x.iter_mut().zip(&mut y).zip(a).zip(b) {
                let (u, v) = f(a, b);
                *x += u;
                *y += v;
            }
        }
        first += x.iter().map(|&v| f64::from(v)).sum::<f64>();
        second += y.iter().map(|&v| f64::from(v)).sum::<f64>();
    }
    (first, second)
}

/// Largest value; NaN are passed over.
#[inline(always)]
pub(super) fn largest(a: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane = if v > *lane { v } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |top, &v| if v > top { v } else { top })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::cpu::erf::erf_f64;

    fn grid() -> impl Iterator<Item = f32> {
        (-40_000..=40_000).map(|i| i as f32 * 2.5e-3)
    }

    #[test]
    fn exp_is_within_two_ulp() {
        for x in grid().filter(|x| (-87.0..=88.0).contains(x)) {
            let exact = f64::from(x).exp();
            assert!(
                (f64::from(exp(x)) / exact - 1.0).abs() < 2.4e-7,
                "exp({x}) = {}",
                exp(x)
            );
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn gelu_is_exact_to_a_millionth() {
        for x in (-90_000..=90_000).map(|i| i as f32 * 1e-4) {
            let d = f64::from(x);
            let cdf = 0.5 * (1.0 + erf_f64(d / 2f64.sqrt()));
            let pdf = (-0.5 * d * d).exp() / (2.0 * std::f64::consts::PI).sqrt();
            assert!((f64::from(gelu(x)) - d * cdf).abs() < 1e-6, "gelu({x}) = {}", gelu(x));
            assert!(
                (f64::from(gelu_slope(x)) - cdf - d * pdf).abs() < 1e-6,
                "gelu'({x}) = {}",
                gelu_slope(x)
            );
        }
        assert!(gelu(f32::NAN).is_nan() && gelu_slope(f32::NAN).is_nan());
    }

    #[test]
    fn silu_and_its_slope() {
        for x in grid() {
            let d = f64::from(x);
            let s = 1.0 / (1.0 + (-d).exp());
            assert!(
                (f64::from(silu(x)) - d * s).abs() < 1e-6 * d.abs().max(1.0),
                "silu({x}) = {}",
                silu(x)
            );
            assert!(
                (f64::from(silu_slope(x)) - s * (1.0 + d * (1.0 - s))).abs() < 1e-6,
                "silu'({x})"
            );
        }
        assert!(silu(f32::NAN).is_nan());
    }

    #[test]
    fn sums_take_every_element_once() {
        for len in [0, 1, 31, 32, 33, 4095, 4096, 4097, 9001] {
            let a: Vec<f32> = (0..len).map(|i| (i % 7) as f32).collect();
            let exact: f64 = a.iter().map(|&v| f64::from(v)).sum();
            assert_eq!(sum(&a, |v| v), exact);
            assert_eq!(sum_pair(&a, &a, |u, v| (u, u + v)), (exact, 2.0 * exact));
            assert_eq!(largest(&a), a.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
