//! Combining, for every kind of overlap.

use crate::common::{failure, para_of, projector, q_of, random};
use diffusion::adapter::combine::{self, Boundary, Cap};
use diffusion::adapter::para::Para;
use diffusion::adapter::subset::GammaScope;
use diffusion::linalg::{self, Matrix};
use sdk::candle_core::DType;
use std::collections::BTreeMap;

const D: usize = 24;

/// Two spans in D dimensions and the dimension of their sum, by kind of overlap.
fn pairs(seed: u64) -> Vec<(&'static str, Matrix, Matrix, usize)> {
    let (basis, _) = linalg::qr(&random(D, D, seed)).unwrap();
    let pick = |from: usize, to: usize| Matrix::from_fn(D, to - from, |i, j| basis[(i, from + j)]);
    let mixed = |from: usize, to: usize, s: u64| pick(from, to) * random(to - from, to - from, s);
    let tilted = |angle: f64| {
        Matrix::from_fn(D, 2, |i, j| {
            angle.cos() * basis[(i, j)] + angle.sin() * basis[(i, 10 + j)]
        })
    };
    vec![
        ("orthogonal", pick(0, 3), mixed(3, 7, seed + 1), 7),
        ("nested", mixed(0, 5, seed + 2), mixed(0, 2, seed + 3), 5),
        ("partly shared", mixed(0, 4, seed + 4), mixed(2, 6, seed + 5), 6),
        ("equal spans", mixed(0, 4, seed + 6), mixed(0, 4, seed + 7), 4),
        ("unrelated", random(D, 3, seed + 8), random(D, 4, seed + 9), 7),
        ("oblique", pick(0, 2), tilted(0.4), 4),
        ("nearly parallel", pick(0, 2), tilted(1e-3), 4),
        ("all but parallel", pick(0, 2), tilted(1e-8), 2),
    ]
}

fn merged(paras: &[&Para]) -> Para {
    combine::merge(paras, None, Cap::Warn).unwrap().0
}

fn apart(a: &Para, b: &Para) -> f64 {
    (projector(&q_of(a, D)) - projector(&q_of(b, D))).norm_l2()
}

#[test]
fn merging_is_a_projection_on_the_joint_span() {
    for seed in [11, 222, 3333] {
        for (kind, a, b, rank) in pairs(seed) {
            let (a, b) = (para_of(&a, DType::F32), para_of(&b, DType::F32));
            let (both, report) = combine::merge(&[&a, &b], None, Cap::Warn).unwrap();
            let q = q_of(&both, D);
            assert_eq!(
                (q.ncols(), report.rows[0].rank, report.rows[0].joint),
                (rank, rank, rank),
                "{kind}"
            );
            assert!(linalg::orthonormality_error(&q) < 1e-6, "{kind}");
            let tolerance = if kind == "nearly parallel" { 1e-3 } else { 1e-5 };
            for part in [&a, &b] {
                let inside = q_of(part, D);
                let lost = (&inside - projector(&q) * &inside).norm_l2();
                assert!(lost < 1e-5, "{kind}: {lost:e} of a part is outside");
            }
            // Neither the order nor repetition counts, bit for bit.
            let bytes = |p: Para| q_bytes(&p);
            assert_eq!(bytes(merged(&[&a, &b])), bytes(merged(&[&b, &a])), "{kind}");
            assert_eq!(bytes(merged(&[&a, &b])), bytes(merged(&[&b, &a, &b, &a])), "{kind}");
            assert_eq!(bytes(merged(&[&a, &a])), bytes(a.clone()), "{kind}");
            assert_eq!(bytes(merged(&[&a])), bytes(a.clone()), "{kind}");
            // Merging again changes nothing.
            let again = merged(&[&both, &both]);
            assert_eq!(bytes(again), bytes(both.clone()), "{kind}");
            let again = merged(&[&both, &a]);
            assert_eq!(q_of(&again, D).ncols(), rank, "{kind}");
            assert!(apart(&again, &both) < tolerance, "{kind}: {:e}", apart(&again, &both));
            // The inside of a sum of spans is associative.
            let c = para_of(&random(D, 2, seed + 77), DType::F32);
            let left = merged(&[&both, &c]);
            let right = merged(&[&a, &merged(&[&b, &c])]);
            assert!(apart(&left, &right) < tolerance, "{kind}: {:e}", apart(&left, &right));
        }
    }
}

fn q_bytes(para: &Para) -> Vec<u64> {
    linalg::to_rows(&q_of(para, D)).iter().map(|v| v.to_bits()).collect()
}

#[test]
fn a_sequence_removes_fewer_directions_and_says_so() {
    for (kind, a, b, joint) in pairs(5) {
        let (a, b) = (para_of(&a, DType::F32), para_of(&b, DType::F32));
        let (qa, qb) = (q_of(&a, D), q_of(&b, D));
        let identity = Matrix::identity(D, D);
        let product = (&identity - projector(&qb)) * (&identity - projector(&qa));
        let s = linalg::svd(&product).unwrap().s;
        let removed = s.iter().filter(|v| **v < 1e-5).count();
        let (list, report) = combine::sequential(&[&a, &b], None).unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(report.rows[0].rank, removed, "{kind}");
        assert_eq!(report.rows[0].joint, joint, "{kind}");
        let expected = match kind {
            "orthogonal" => 7,
            "nested" => 5,
            "partly shared" => 6,
            "equal spans" | "unrelated" => 4,
            _ => 2,
        };
        assert_eq!(removed, expected, "{kind}");
    }
}

#[test]
fn the_report_measures_overlap() {
    let (basis, _) = linalg::qr(&random(D, D, 4)).unwrap();
    let angle: f64 = 0.3;
    let a = Matrix::from_fn(D, 2, |i, j| basis[(i, j)]);
    let b = Matrix::from_fn(D, 2, |i, j| match j {
        0 => angle.cos() * basis[(i, 0)] + angle.sin() * basis[(i, 5)],
        _ => basis[(i, 7)],
    });
    let (a, b) = (para_of(&a, DType::F64), para_of(&b, DType::F64));
    let (_, report) = combine::merge(&[&a, &b], None, Cap::Warn).unwrap();
    let row = &report.rows[0];
    assert_eq!(row.ranks, [2, 2]);
    assert!((row.max_cosine - angle.cos()).abs() < 1e-12);
    assert!(row.cosines[1].abs() < 1e-12);
    assert!((row.overlap - angle.cos().powi(2) / 2.0).abs() < 1e-12);
    assert!(!row.nearly_parallel);
    let near: Vec<_> = pairs(1).into_iter().filter(|p| p.0.contains("parallel")).collect();
    let flags: Vec<bool> = near
        .iter()
        .map(|(_, a, b, _)| {
            let (a, b) = (para_of(a, DType::F32), para_of(b, DType::F32));
            combine::merge(&[&a, &b], None, Cap::Warn).unwrap().1.rows[0].nearly_parallel
        })
        .collect();
    assert_eq!(
        flags,
        [true, false],
        "1e-3 rad is kept and warned of, 1e-8 rad is the same direction"
    );
    assert!(report.to_string().contains("largest cosine 0.955"), "{report}");
}

#[test]
fn f16_files_are_compared_with_the_tolerance_of_f16() {
    let b = random(64, 4, 9);
    let exact = para_of(&b, DType::F32);
    let rounded = para_of(&(&b * random(4, 4, 10)), DType::F16);
    assert_eq!(q_of(&merged(&[&exact, &rounded]), 64).ncols(), 4);
    let mut trusted = rounded.clone();
    trusted.precision = DType::F32;
    assert!(q_of(&merged(&[&exact, &trusted]), 64).ncols() > 4);
}

#[test]
fn caps_keep_what_they_promise() {
    let weight = random(40, 60, 21);
    let (a, b) = (
        para_of(&random(40, 3, 22), DType::F64),
        para_of(&random(40, 3, 23), DType::F64),
    );
    let base = BTreeMap::from([("m.weight".to_string(), linalg::tensor(&weight, DType::F64).unwrap())]);
    let boundary = Boundary {
        base: &base,
        gamma: 0.1,
        scope: GammaScope::All,
    };
    let energy = |q: &Matrix| (q.transpose() * &weight).norm_l2().powi(2);
    // The share of what an adapter removes that a result still removes.
    let kept = |q: &Matrix, of: &Para| {
        let own = q_of(of, 40);
        (q.transpose() * projector(&own) * &weight).norm_l2().powi(2) / energy(&own)
    };
    let run = |order: [&Para; 2], cap: Cap| {
        let (para, report) = combine::merge(&order, Some(boundary), cap).unwrap();
        assert_eq!(report.rows[0].boundary, Some(4));
        assert_eq!(report.rows[0].joint, 6);
        assert!(report.rows[0].exceeded);
        q_of(&para, 40)
    };
    assert_eq!(run([&a, &b], Cap::Warn).ncols(), 6);
    let primary = run([&a, &b], Cap::Primary);
    assert_eq!(primary.ncols(), 4);
    assert!((kept(&primary, &a) - 1.0).abs() < 1e-9);
    assert!(kept(&primary, &b) < 0.9);
    let balanced = run([&a, &b], Cap::Balanced);
    assert_eq!(balanced.ncols(), 4);
    assert!(linalg::orthonormality_error(&balanced) < 1e-12);
    let worst = |q: &Matrix| kept(q, &a).min(kept(q, &b));
    assert!(
        worst(&balanced) > worst(&primary),
        "{} {}",
        worst(&balanced),
        worst(&primary)
    );
    assert_eq!(
        linalg::to_rows(&balanced),
        linalg::to_rows(&run([&b, &a], Cap::Balanced))
    );
    // The strongest direction among the rest: no other choice keeps more of the weight.
    let other = linalg::concat(&[&q_of(&a, 40), &linalg::leading(&random(40, 1, 3), 1)]).unwrap();
    let other = linalg::orthonormal_basis(&other, 1e-9).unwrap();
    let within = projector(&q_of(&merged(&[&a, &b]), 40)) * &other;
    assert!(energy(&primary) >= energy(&linalg::orthonormal_basis(&within, 1e-9).unwrap()) - 1e-9);
    assert!(failure(combine::merge(&[&a, &b], None, Cap::Balanced)).contains("base model"));
    let convolutions = Boundary {
        scope: GammaScope::Conv,
        ..boundary
    };
    let (_, report) = combine::merge(&[&a, &b], Some(convolutions), Cap::Warn).unwrap();
    assert_eq!(report.rows[0].boundary, None);
}

#[test]
fn adapters_of_different_models_are_refused() {
    let (a, b) = (
        para_of(&random(8, 2, 1), DType::F32),
        para_of(&random(9, 2, 2), DType::F32),
    );
    let text = failure(combine::merge(&[&a, &b], None, Cap::Warn));
    assert!(
        text.contains("module m") && text.contains('8') && text.contains('9'),
        "{text}"
    );
    assert!(failure(combine::merge(&[], None, Cap::Warn)).contains("nothing to combine"));
}
