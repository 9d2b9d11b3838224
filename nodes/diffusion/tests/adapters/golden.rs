//! The algebra of PaRa against float64 reference values.

use crate::common::{assert_close, failure, para_of, projector, random, tensors};
use diffusion::adapter::combine::{self, Cap};
use diffusion::adapter::lora::LoraModule;
use diffusion::adapter::para::{Para, reduce};
use diffusion::train::Basis;
use diffusion::{linalg, ops};
use sdk::candle_core::{DType, Tensor, Var};
use std::collections::BTreeMap;

fn orthonormal(b: &Tensor) -> Tensor {
    let (q, _) = linalg::qr(&linalg::matrix(b).unwrap()).unwrap();
    linalg::tensor(&q, b.dtype()).unwrap()
}

fn in_precision(dtype: DType) -> (BTreeMap<String, Tensor>, f64) {
    let golden = tensors("para_golden.safetensors");
    let cast = golden.into_iter().map(|(n, t)| (n, t.to_dtype(dtype).unwrap()));
    (cast.collect(), if dtype == DType::F64 { 1e-10 } else { 1e-5 })
}

#[test]
fn reduction_and_output_side_equal_the_reference() {
    for dtype in [DType::F64, DType::F32] {
        let (g, limit) = in_precision(dtype);
        let q = orthonormal(&g["B"]);
        assert_close("P", &q.matmul(&q.t().unwrap()).unwrap(), &g["P"], limit);
        assert_close("W_reduce", &reduce(&g["W"], &q, 1.0).unwrap(), &g["W_reduce"], limit);
        // Outputs are (…, d_out) here, columns in the reference.
        let y = g["W"].matmul(&g["x"]).unwrap().t().unwrap().contiguous().unwrap();
        let z = ops::project(&y, &q, 1.0, None).unwrap();
        assert_close("z", &z.t().unwrap().contiguous().unwrap(), &g["z"], limit);
        let out = z.broadcast_add(&g["bias"]).unwrap();
        assert_close("out", &out.t().unwrap().contiguous().unwrap(), &g["out"], limit);
    }
}

#[test]
fn convolutions_are_projected_on_their_output_channels() {
    for dtype in [DType::F64, DType::F32] {
        let (g, limit) = in_precision(dtype);
        let q = orthonormal(&g["conv_B"]);
        let reduced = reduce(&g["conv_W"], &q, 1.0).unwrap();
        assert_close("conv_W_reduce", &reduced, &g["conv_W_reduce"], limit);
        for (name, stride) in [("conv_out_s1", 1), ("conv_out_s2", 2)] {
            let y = g["conv_x"].conv2d(&g["conv_W"], 1, stride, 1, 1).unwrap();
            let z = ops::project(&y, &q, 1.0, None).unwrap();
            assert_close(name, &z, &g[name], limit);
        }
        let weight = g["conv_W"].clone();
        let base = BTreeMap::from([("m.weight".to_string(), weight.clone())]);
        let para = Para::new(BTreeMap::from([("m".to_string(), q)]), dtype).unwrap();
        let lora = diffusion::adapter::lora::Lora::from_para(&para, &base, dtype).unwrap();
        let module = lora.modules.values().next().unwrap();
        assert_eq!(module.down.dims(), g["conv_lora_down"].dims());
        assert_eq!(module.up.dims(), g["conv_lora_up"].dims());
        let reference = LoraModule::new(g["conv_lora_down"].clone(), g["conv_lora_up"].clone(), None, None);
        let (own, reference) = (
            module.delta(&weight).unwrap(),
            reference.unwrap().delta(&weight).unwrap(),
        );
        assert_close("conv_lora", &own, &reference, limit);
    }
}

#[test]
fn gradients_through_q_as_a_leaf_equal_the_reference() {
    for dtype in [DType::F64, DType::F32] {
        let (g, limit) = in_precision(dtype);
        let b = linalg::matrix(&g["B"]).unwrap();
        let (d, rank) = (b.nrows(), b.ncols());
        let basis = Basis::new(&linalg::to_rows(&b), d, rank).unwrap();
        let leaf = Var::from_tensor(&basis.q(dtype).unwrap()).unwrap();
        let y = Var::from_tensor(&g["y"].t().unwrap().contiguous().unwrap()).unwrap();
        let z = ops::project(y.as_tensor(), leaf.as_tensor(), 1.0, None).unwrap();
        let gz = g["gz"].t().unwrap().contiguous().unwrap();
        let store = (z * gz).unwrap().sum_all().unwrap().backward().unwrap();
        let leaf = store.get(leaf.as_tensor()).unwrap();
        let gradient = basis.gradient(leaf).unwrap();
        assert_close("grad_B", &gradient, &g["grad_B"], limit);
        let grad_y = store.get(y.as_tensor()).unwrap().t().unwrap().contiguous().unwrap();
        assert_close("grad_y", &grad_y, &g["grad_y"], limit);

        // B only turns: the gradient is orthogonal to its columns, and scales with 1 / |B|.
        let gradient = linalg::matrix(&gradient).unwrap();
        let along = (b.transpose() * &gradient).norm_l2() / (b.norm_l2() * gradient.norm_l2());
        assert!(
            along < if dtype == DType::F64 { 1e-14 } else { 1e-6 },
            "Bᵀg = {along:e}"
        );
        let scaled: Vec<f64> = linalg::to_rows(&b).iter().map(|v| v * 1000.0).collect();
        let larger = Basis::new(&scaled, d, rank).unwrap();
        let (q, q2) = (basis.q(DType::F64).unwrap(), larger.q(DType::F64).unwrap());
        assert_close("the same Q", &q2, &q, 1e-12);
        let smaller = larger.gradient(leaf).unwrap();
        let wanted = linalg::tensor(&gradient, dtype).unwrap();
        assert_close("grad_B of 1000 B", &(smaller * 1000.0).unwrap(), &wanted, limit);
    }
}

#[test]
fn combinations_and_the_order_with_lora_equal_the_reference() {
    for dtype in [DType::F64, DType::F32] {
        let (g, limit) = in_precision(dtype);
        let para = |name: &str| para_of(&linalg::matrix(&g[name]).unwrap(), dtype);
        let (first, second) = (para("B"), para("B2"));
        let (merged, report) = combine::merge(&[&first, &second], None, Cap::Warn).unwrap();
        let weight = reduce(&g["W"], &merged.modules["m"], 1.0).unwrap();
        assert_close("combine_merged", &weight, &g["combine_merged"], limit);
        let (q1, q2) = (&first.modules["m"], &second.modules["m"]);
        let both = |a: &Tensor, b: &Tensor| reduce(&reduce(&g["W"], a, 1.0).unwrap(), b, 1.0).unwrap();
        assert_close("1 then 2", &both(q1, q2), &g["combine_seq_1_then_2"], limit);
        assert_close("2 then 1", &both(q2, q1), &g["combine_seq_2_then_1"], limit);
        let cosines = Tensor::new(report.rows[0].cosines.clone(), &sdk::candle_core::Device::Cpu).unwrap();
        assert_close(
            "principal_cos",
            &cosines.to_dtype(dtype).unwrap(),
            &g["principal_cos"],
            limit,
        );

        let lora = LoraModule::new(g["lora_A"].clone(), g["lora_B"].clone(), None, None).unwrap();
        let change = (lora.delta(&g["W"]).unwrap() * 0.8).unwrap();
        let after = (reduce(&g["W"], q1, 1.0).unwrap() + &change).unwrap();
        assert_close("para_then_lora", &after, &g["para_then_lora"], limit);
        let before = reduce(&(&g["W"] + &change).unwrap(), q1, 1.0).unwrap();
        assert_close("lora_then_para", &before, &g["lora_then_para"], limit);

        let rank = |t: &Tensor| linalg::rank(&linalg::matrix(t).unwrap(), 1e-5).unwrap();
        assert_eq!(rank(&g["W"]), 12);
        assert_eq!(rank(&reduce(&g["W"], q1, 1.0).unwrap()), 9);
        assert_eq!(rank(&weight), 5);
        assert_eq!(rank(&both(q1, q2)), 8);
    }
}

#[test]
fn rank_falls_by_what_the_span_shares_with_the_weight() {
    // W maps into the first 6 of 10 dimensions, in a rotated basis.
    let (basis, _) = linalg::qr(&random(10, 10, 1)).unwrap();
    let weight = linalg::leading(&basis, 6) * random(6, 15, 2);
    // Against the size of W, since what is left may be nothing but rounding.
    let rank = |w: &linalg::Matrix| {
        let s = linalg::svd(w).unwrap().s;
        s.iter().filter(|v| **v > 1e-9 * weight.norm_l2()).count()
    };
    assert_eq!(rank(&weight), 6);
    for (inside, outside) in [(1, 0), (3, 0), (2, 2), (0, 4), (6, 4)] {
        let pick = |j: usize| if j < inside { j } else { 6 + j - inside };
        let q = linalg::Matrix::from_fn(10, inside + outside, |i, j| basis[(i, pick(j))]);
        let w = linalg::tensor(&weight, DType::F64).unwrap();
        let reduced = reduce(&w, &linalg::tensor(&q, DType::F64).unwrap(), 1.0).unwrap();
        assert_eq!(
            rank(&linalg::matrix(&reduced).unwrap()),
            6 - inside,
            "{inside} inside, {outside} outside"
        );
    }
    // A direction that leaves the column space removes no rank, against the note to the paper's Theorem 1.
    let w = Tensor::new(&[[1.0, 2.0], [0.0, 0.0]], &sdk::candle_core::Device::Cpu).unwrap();
    let half = std::f64::consts::FRAC_1_SQRT_2;
    let q = Tensor::new(&[[half], [half]], &sdk::candle_core::Device::Cpu).unwrap();
    let reduced = reduce(&w, &q, 1.0).unwrap();
    assert_eq!(rank(&linalg::matrix(&reduced).unwrap()), 1);
}

#[test]
fn strength_interpolates_and_has_bounds() {
    let (g, limit) = in_precision(DType::F64);
    let q = orthonormal(&g["B"]);
    let half = reduce(&g["W"], &q, 0.5).unwrap();
    let mean = ((&g["W"] + &g["W_reduce"]).unwrap() * 0.5).unwrap();
    assert_close("half", &half, &mean, limit);
    assert_close("none", &reduce(&g["W"], &q, 0.0).unwrap(), &g["W"], 0.0);
    for strength in [2.0, -0.1, 1.0001, f64::NAN] {
        assert!(failure(reduce(&g["W"], &q, strength)).contains("expected 0 to 1"));
    }
}

#[test]
fn spare_columns_remove_nothing() {
    let b = random(16, 2, 3);
    let padded = linalg::Matrix::from_fn(16, 4, |i, j| match j {
        0 | 1 => b[(i, j)],
        2 => 0.0,
        _ => b[(i, 0)] + b[(i, 1)],
    });
    let clean = projector(&linalg::matrix(&para_of(&b, DType::F64).modules["m"]).unwrap());
    for (dtype, limit) in [(DType::F64, 1e-14), (DType::F32, 1e-6), (DType::F16, 2e-3)] {
        let q = linalg::matrix(&para_of(&padded, dtype).modules["m"]).unwrap();
        assert_eq!(q.ncols(), 2, "{dtype:?}");
        let error = (projector(&q) - &clean).norm_l2();
        assert!(error < limit, "{dtype:?}: {error:e}");
    }
    assert!(para_of(&linalg::Matrix::zeros(16, 3), DType::F32).modules.is_empty());
}
