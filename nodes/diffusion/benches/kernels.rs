//! Every operation of `ops` at shapes of Stable Diffusion 1.5 (batch 2, latents of 64²) and of the shipped model (batch 16:
//! eight pictures with guidance), forward, and forward with backward where the weights are frozen, as in training.
//!
//! ```text
//! cargo bench --workspace --bench kernels -- conv2d
//! ```
//!
//! "elem" in what criterion prints are floating point operations, where these are what counts.

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use diffusion::noise::Generator;
use diffusion::train::Basis;
use diffusion::{linalg, ops};
use sdk::Result;
use sdk::candle_core::{Tensor, Var};
use std::hint::black_box;
use std::time::Duration;

fn random(shape: &[usize]) -> Result<Tensor> {
    Generator::manual_seed(1).randn(shape)
}

/// An operation of one input on frozen weights, forward and then with its backward pass.
fn both(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    shape: &[usize],
    operations: usize,
    op: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<()> {
    let x = random(shape)?;
    group.throughput(Throughput::Elements(operations as u64));
    group.bench_function(format!("{name}/forward"), |b| {
        b.iter(|| op(black_box(&x)).map(black_box));
    });
    let var = Var::from_tensor(&x)?;
    let weights = random(op(&x)?.dims())?;
    let step = || -> Result<()> {
        let loss = (op(var.as_tensor())? * &weights)?.sum_all()?;
        black_box(loss.backward()?);
        Ok(())
    };
    group.throughput(Throughput::Elements(2 * operations as u64));
    group.bench_function(format!("{name}/forward and backward"), |b| b.iter(step));
    Ok(())
}

fn conv2d(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("conv2d");
    for (name, n, c, c_out, side, kernel, stride) in [
        ("SD 320, 64², 3x3", 2, 320, 320, 64, 3, 1),
        ("SD 640, 32², 3x3", 2, 640, 640, 32, 3, 1),
        ("SD 1280, 16², 3x3", 2, 1280, 1280, 16, 3, 1),
        ("SD 960 to 320, 64², 1x1", 2, 960, 320, 64, 1, 1),
        ("SD 320, 64², 3x3, stride 2", 2, 320, 320, 64, 3, 2),
        ("shipped 64, 16², 3x3", 16, 64, 64, 16, 3, 1),
        ("shipped 128, 8², 3x3", 16, 128, 128, 8, 3, 1),
        ("shipped 192, 4², 3x3", 16, 192, 192, 4, 3, 1),
    ] {
        let w = random(&[c_out, c, kernel, kernel])?;
        let bias = random(&[c_out])?;
        let pixels = (side / stride) * (side / stride);
        let operations = 2 * n * c * c_out * kernel * kernel * pixels;
        both(&mut group, name, &[n, c, side, side], operations, |x| {
            ops::conv2d(x, &w, Some(&bias), stride, kernel / 2)
        })?;
    }
    group.finish();
    Ok(())
}

fn linear(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("linear");
    for (name, rows, width, out) in [
        ("SD 8192 x 320 to 320", 8192, 320, 320),
        ("SD 8192 x 320 to 2560", 8192, 320, 2560),
        ("SD 2048 x 640 to 640", 2048, 640, 640),
        ("SD 512 x 1280 to 1280", 512, 1280, 1280),
        ("SD 154 x 768 to 320", 154, 768, 320),
        ("SD 2 x 1280 to 320", 2, 1280, 320),
        ("shipped 1024 x 128 to 128", 1024, 128, 128),
        ("shipped 256 x 192 to 1536", 256, 192, 1536),
    ] {
        let (w, bias) = (random(&[out, width])?, random(&[out])?);
        both(&mut group, name, &[rows, width], 2 * rows * width * out, |x| {
            ops::linear(x, &w, Some(&bias))
        })?;
    }
    group.finish();
    Ok(())
}

fn attention(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("attention");
    for (name, n, length, keys, heads, d) in [
        ("SD self, 64², 8 x 40", 2, 4096, 4096, 8, 40),
        ("SD self, 32², 8 x 80", 2, 1024, 1024, 8, 80),
        ("SD cross, 64², 8 x 40", 2, 4096, 77, 8, 40),
        ("shipped self, 8², 4 x 32", 16, 64, 64, 4, 32),
        ("shipped cross, 8², 4 x 32", 16, 64, 32, 4, 32),
    ] {
        let scale = 1.0 / (d as f64).sqrt();
        let (k, v) = (random(&[n, keys, heads * d])?, random(&[n, keys, heads * d])?);
        let operations = 4 * n * heads * length * keys * d;
        both(&mut group, name, &[n, length, heads * d], operations, |q| {
            if keys == length {
                ops::attention_heads(q, q, q, heads, scale, None)
            } else {
                ops::attention_heads(q, &k, &v, heads, scale, None)
            }
        })?;
    }
    group.finish();
    Ok(())
}

fn norms(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("norm");
    for (name, n, c, side) in [
        ("group norm and SiLU, SD 320, 64²", 2, 320, 64),
        ("group norm and SiLU, SD 1280, 16²", 2, 1280, 16),
        ("group norm and SiLU, shipped 64, 16²", 16, 64, 16),
    ] {
        let (w, bias) = (random(&[c])?, random(&[c])?);
        let shape = [n, c, side, side];
        both(&mut group, name, &shape, shape.iter().product(), |x| {
            ops::group_norm(x, 32, &w, &bias, 1e-5, true)
        })?;
    }
    for (name, rows, width) in [
        ("layer norm, SD 8192 x 320", 8192, 320),
        ("layer norm, shipped 1024 x 128", 1024, 128),
    ] {
        let (w, bias) = (random(&[width])?, random(&[width])?);
        both(&mut group, name, &[rows, width], rows * width, |x| {
            ops::layer_norm(x, &w, &bias, 1e-5)
        })?;
    }
    group.finish();
    Ok(())
}

fn elementwise(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("elementwise");
    let wide = [8192, 2560];
    let count = wide.iter().product();
    both(&mut group, "GEGLU, SD 8192 x 2560", &wide, count, ops::geglu)?;
    both(&mut group, "GELU, 8192 x 2560", &wide, count, ops::gelu)?;
    both(&mut group, "quick GELU, 8192 x 2560", &wide, count, ops::quick_gelu)?;
    both(&mut group, "SiLU, 8192 x 2560", &wide, count, ops::silu)?;
    let picture = [2, 640, 32, 32];
    both(
        &mut group,
        "nearest upsampling, SD 640, 32² to 64²",
        &picture,
        picture.iter().product(),
        |x| ops::upsample_nearest(x, 64, 64),
    )?;
    group.finish();
    Ok(())
}

/// B = QR of a PaRa in training, and B's gradient from Q's, in f64 on one thread (a step does a module on each).
fn bases(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("basis");
    for (rows, rank) in [(320, 4), (1280, 4), (1280, 32), (1280, 128)] {
        let b = random(&[rows, rank])?;
        let values = linalg::to_rows(&linalg::matrix(&b)?);
        group.bench_function(format!("QR, {rows}, rank {rank}"), |bench| {
            bench.iter(|| Basis::new(black_box(&values), rows, rank));
        });
        let basis = Basis::new(&values, rows, rank)?;
        group.bench_function(format!("gradient, {rows}, rank {rank}"), |bench| {
            bench.iter(|| basis.gradient(black_box(&b)));
        });
    }
    group.finish();
    Ok(())
}

/// All of them; the first that fails ends the run with its message.
fn all(criterion: &mut Criterion) {
    for part in [conv2d, linear, attention, norms, elementwise, bases] {
        if let Err(error) = part(criterion) {
            panic!("{error}");
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = all
}
criterion_main!(benches);
