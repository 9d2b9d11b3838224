//! Every kernel with operands of any shape: values and all gradients against the composite in f64, against finite
//! differences, with each operand frozen, and for equal bits ([`super::testing::check`]).

use super::packed::Packed;
use super::testing::{check, noise};
use super::{attention, composite, conv, geglu, linear, low_rank, norm, sum, upsample};
use candle_core::{Result, Tensor};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::sync::Arc;

/// A convolution: n, c_in, c_out, h, w, kernel, stride, padding.
fn convolutions() -> impl Strategy<Value = [usize; 8]> {
    let channels = || prop_oneof![1usize..12, 14usize..36, 60usize..70];
    (
        (1usize..4, channels(), channels()),
        (1usize..15, 1usize..15),
        1usize..4,
        1usize..3,
        0usize..3,
    )
        .prop_map(|((n, ci, co), (h, w), k, stride, padding)| [n, ci, co, h, w, k, stride, padding])
        .prop_filter("the kernel fits", |&[_, _, _, h, w, k, _, p]| {
            h + 2 * p >= k && w + 2 * p >= k && p < k
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        // The same cases in every run.
        rng_seed: RngSeed::Fixed(4),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn conv2d([n, ci, co, h, w, k, stride, padding] in convolutions(), seed in 0u64..1000) {
        let inputs = [noise(&[n, ci, h, w], seed), noise(&[co, ci, k, k], seed + 1), noise(&[co], seed + 2)];
        let reference = |t: &[Tensor]| -> Result<Tensor> {
            composite::gathered_conv2d(&t[0], &t[1], stride, padding)?.broadcast_add(&t[2].reshape((1, co, 1, 1))?)
        };
        check(
            &format!("{n} {ci} {co} {h}x{w} k{k} s{stride} p{padding}"),
            &inputs,
            &|t| conv::conv2d(&t[0], &t[1], Some(&t[2]), (stride, padding), None),
            &reference,
            WINOGRAD,
        );
        // The weight in panels: frozen, as it then is.
        let (weight, packed) = (inputs[1].clone(), Arc::new(Packed::of(&[co, ci, k, k]).unwrap()));
        let frozen = |t: &Tensor| weight.to_dtype(t.dtype());
        check(
            "in panels",
            &[inputs[0].clone(), inputs[2].clone()],
            &|t| conv::conv2d(&t[0], &frozen(&t[0])?, Some(&t[1]), (stride, padding), Some(&packed)),
            &|t| reference(&[t[0].clone(), frozen(&t[0])?, t[1].clone()]),
            WINOGRAD,
        );
    }

    #[test]
    fn linears(rows in 1usize..140, d_in in 1usize..90, d_out in 1usize..140, seed in 0u64..1000) {
        let inputs = [noise(&[rows, d_in], seed), noise(&[d_out, d_in], seed + 1), noise(&[d_out], seed + 2)];
        let name = format!("{rows} {d_in} {d_out}");
        check(
            &name,
            &inputs,
            &|t| linear::linear(&t[0], &t[1], Some(&t[2]), None),
            &|t| composite::linear(&t[0], &t[1], Some(&t[2])),
            ROUNDING,
        );
        let (weight, packed) = (inputs[1].clone(), Arc::new(Packed::of(&[d_out, d_in]).unwrap()));
        let frozen = |t: &Tensor| weight.to_dtype(t.dtype());
        check(
            &name,
            &[inputs[0].clone(), inputs[2].clone()],
            &|t| linear::linear(&t[0], &frozen(&t[0])?, Some(&t[1]), Some(&packed)),
            &|t| composite::linear(&t[0], &frozen(&t[0])?, Some(&t[1])),
            ROUNDING,
        );
    }

    /// At least two keys: with one, the gradients of queries and keys are nothing but rounding.
    #[test]
    fn attentions(
        (n, heads) in (1usize..3, 1usize..4),
        (l, s, d) in (1usize..150, 2usize..530, 1usize..24),
        seed in 0u64..1000,
    ) {
        let inputs = [
            noise(&[n, heads, l, d], seed),
            noise(&[n, heads, s, d], seed + 1),
            noise(&[n, heads, s, d], seed + 2),
        ];
        check(
            &format!("{n} {heads} {l} {s} {d}"),
            &inputs,
            &|t| attention::attention(&t[0], &t[1], &t[2], 0.4, None),
            &|t| composite::attention(&t[0], &t[1], &t[2], 0.4, None),
            2.0 * ROUNDING,
        );
    }

    /// Epsilon is large, so that nothing bends faster than the differences are wide.
    #[test]
    fn norms(n in 1usize..4, groups in 1usize..5, per_group in 1usize..6, (h, w) in (1usize..12, 2usize..12), seed in 0u64..1000) {
        let c = groups * per_group;
        let vectors = [noise(&[c], seed + 1), noise(&[c], seed + 2)];
        let inputs = [&[noise(&[n, c, h, w], seed)][..], &vectors].concat();
        for silu in [false, true] {
            check(
                &format!("{n} {c} in {groups} {h}x{w}"),
                &inputs,
                &|t| norm::group_norm(&t[0], groups, &t[1], &t[2], 0.3, silu),
                &|t| composite::group_norm(&t[0], groups, &t[1], &t[2], 0.3, silu),
                ROUNDING,
            );
        }
        let c = h * w;
        let inputs = [noise(&[n, groups, c], seed), noise(&[c], seed + 1), noise(&[c], seed + 2)];
        check(
            &format!("{n} {groups} {c}"),
            &inputs,
            &|t| norm::layer_norm(&t[0], &t[1], &t[2], 0.3),
            &|t| composite::layer_norm(&t[0], &t[1], &t[2], 0.3),
            ROUNDING,
        );
    }

    #[test]
    fn elementwise(n in 1usize..4, c in 1usize..40, (h, w) in (1usize..9, 1usize..9), seed in 0u64..1000) {
        let x = noise(&[n, c, h, 2 * w], seed);
        let name = format!("{n} {c} {h}x{w}");
        check(&name, std::slice::from_ref(&x), &|t| geglu::geglu(&t[0]), &|t| composite::geglu(&t[0]), ROUNDING);
        let pair = [x.clone(), noise(x.dims(), seed + 1)];
        check(&name, &pair, &|t| sum::add(&t[0], &t[1]), &|t| &t[0] + &t[1], ROUNDING);
        let pair = [x.clone(), noise(&[n, c], seed + 1)];
        let shifted = |t: &[Tensor]| t[0].broadcast_add(&t[1].reshape((n, c, 1, 1))?);
        check(&name, &pair, &|t| sum::add_channels(&t[0], &t[1]), &shifted, ROUNDING);
        for (height, width) in [(2 * h, 4 * w), (h + 1, w + 2)] {
            let composite = |t: &[Tensor]| composite::upsample_nearest(&t[0], height, width);
            check(&name, std::slice::from_ref(&x), &|t| upsample::upsample_nearest(&t[0], height, width), &composite, ROUNDING);
        }
    }

    #[test]
    fn adapters(n in 1usize..3, d in 1usize..70, (h, w) in (1usize..12, 1usize..12), rank in 1usize..9, flat: bool, seed in 0u64..1000) {
        let rank = rank.min(d);
        let shape = |d: usize| if flat { vec![n, h * w, d] } else { vec![n, d, h, w] };
        let q = (noise(&[d, rank], seed + 1) / (d as f64).sqrt()).unwrap();
        let inputs = [noise(&shape(d), seed), q.clone(), noise(&[d], seed + 2)];
        let name = format!("{:?} rank {rank}", shape(d));
        check(
            &name,
            &inputs,
            &|t| low_rank::project(&t[0], &t[1], 0.8, Some(&t[2])),
            &|t| composite::project(&t[0], &t[1], 0.8, Some(&t[2])),
            2.0 * ROUNDING,
        );
        let inputs = [noise(&shape(d), seed), noise(&shape(rank), seed + 3), q];
        check(
            &name,
            &inputs,
            &|t| low_rank::add_low_rank(&t[0], &t[1], &t[2], 0.8),
            &|t| composite::add_low_rank(&t[0], &t[1], &t[2], 0.8),
            ROUNDING,
        );
    }
}

/// What rounding may cost a kernel, relative to its largest result.
const ROUNDING: f64 = 5e-6;
/// The same for convolutions, whose fast form rounds more.
const WINOGRAD: f64 = 1e-5;
