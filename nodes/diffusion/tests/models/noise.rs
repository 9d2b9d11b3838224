use crate::common::fixture;
use diffusion::noise::Generator;
use diffusion::weights::Weights;
use sdk::candle_core::{DType, Tensor};

fn values(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[test]
fn every_draw_equals_pytorch() {
    let reference = Weights::open(fixture("torch_noise.safetensors")).unwrap();
    let (mut worst, mut checked) = (0.0f64, 0);
    for (name, want) in reference.tensors() {
        let (seed, what) = name.strip_prefix("seed").unwrap().split_once('_').unwrap();
        let mut generator = Generator::manual_seed(seed.parse().unwrap());
        let want = values(want);
        let got = match what {
            "rand" => values(&generator.rand(20).unwrap()),
            "randint1000" => (0..20).map(|_| generator.randint(1000).unwrap() as f64).collect(),
            "second_after_7" => {
                generator.randn(7).unwrap();
                values(&generator.randn(20).unwrap())
            }
            shape => {
                let shape: Vec<usize> = shape.split('x').map(|n| n.parse().unwrap()).collect();
                values(&generator.randn(shape).unwrap())
            }
        };
        assert!(got.len() >= want.len());
        let error = got.iter().zip(&want).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
        assert!(error <= 2e-6, "{name}: worst difference {error:.3e}");
        worst = worst.max(error);
        checked += 1;
    }
    println!("{checked} draws, worst difference {worst:.2e}");
    assert_eq!(checked, 72, "every entry of the fixture, worst difference {worst:.3e}");
}

#[test]
fn a_saved_generator_goes_on_where_it_stopped() {
    let mut generator = Generator::manual_seed(7);
    generator.randn(700).unwrap();
    generator.randn(3).unwrap();
    let mut restored = Generator::from_state(&generator.state()).unwrap();
    assert_eq!(restored, generator);
    // Seven, so that the kept half of a pair counts too.
    for _ in 0..200 {
        assert_eq!(
            values(&generator.randn(7).unwrap()),
            values(&restored.randn(7).unwrap())
        );
    }
    let mut damaged = generator.state();
    damaged.pop();
    assert!(Generator::from_state(&damaged).is_err());
    assert!(Generator::from_state(b"").is_err());
}
