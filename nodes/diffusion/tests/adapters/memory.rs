//! Activation checkpointing: the same gradients from less memory, and the estimate of it.

use crate::common::{distance, tiny};
use crate::training::{PARA, batch, data, in_f64, schedule, small};
use diffusion::adapter::subset::{GammaScope, RankRule, Subset};
use diffusion::ddim::{Ddim, DdimConfig, Prediction};
use diffusion::noise::Generator;
use diffusion::train::{Checkpointing, Control, Method, Options, TrainData, Trainer};
use diffusion::unet::{Unet, UnetConfig, module_shapes};
use diffusion::weights::Weights;
use sdk::candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

const LORA: Method = Method::Lora { alpha: 2.0 };

fn trainer(unet: &Arc<Unet>, data: TrainData, options: Options) -> Trainer {
    Trainer::new(unet.clone(), schedule(Prediction::Epsilon), data, options).unwrap()
}

/// Starting values that every gradient is well above nothing for: LoRA's `up` starts at zero.
fn spread(trainer: &mut Trainer) {
    let mut generator = Generator::manual_seed(3);
    let weights = trainer.weights().unwrap().into_iter();
    let moved = weights.map(|(name, value)| {
        let noise = generator.randn(value.dims()).unwrap();
        (name, (value + (noise * 0.1).unwrap()).unwrap())
    });
    trainer.set_weights(&moved.collect()).unwrap();
}

#[test]
fn gradients_are_the_same_bits_with_and_without_recomputation() {
    let (unet, reference) = tiny();
    let everywhere = RankRule {
        rank: 2,
        gamma: 1.0,
        scope: GammaScope::All,
    };
    let noise = reference["ddim_init_noise"].clone();
    let batch = batch(&reference, &reference["latent"], noise, vec![401, 100]);
    for (method, subset) in [
        (PARA, Subset::ExCA),
        (PARA, Subset::FMT),
        (PARA, Subset::ExCAHL),
        (LORA, Subset::FMT),
        (LORA, Subset::CAO),
    ] {
        for (unet, recomputed_limit) in [(unet.clone(), 0.0), (in_f64(&unet), 1e-12)] {
            let gradients = |checkpointing| {
                let options = Options {
                    subset,
                    rule: everywhere,
                    checkpointing,
                    ..small(method)
                };
                let mut trainer = trainer(&unet, data(&reference), options);
                assert_eq!(trainer.recomputes(), checkpointing == Checkpointing::Block);
                spread(&mut trainer);
                trainer.gradients(&batch).unwrap()
            };
            let (kept_loss, kept) = gradients(Checkpointing::None);
            let (loss, recomputed) = gradients(Checkpointing::Block);
            assert_eq!(loss, kept_loss);
            assert_eq!(kept.len(), recomputed.len());
            for (name, gradient) in &kept {
                let error = distance(&recomputed[name], gradient);
                assert!(
                    error <= recomputed_limit,
                    "{method:?} {subset}: {name} off by {error:e}"
                );
                let size = gradient.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(size > 0.0, "{method:?} {subset}: no gradient for {name}");
            }
        }
    }
}

#[test]
fn the_file_is_the_same_and_a_training_may_go_on_in_the_other_way() {
    let (unet, reference) = tiny();
    for method in [PARA, LORA] {
        let new = |checkpointing| {
            let options = Options {
                checkpointing,
                batch: 2,
                ..small(method)
            };
            trainer(&unet, data(&reference), options)
        };
        let finish = |mut trainer: Trainer| {
            trainer.run(|_, _| Ok(Control::Continue)).unwrap();
            trainer.adapter().unwrap().to_bytes().unwrap()
        };
        let kept = finish(new(Checkpointing::None));
        assert_eq!(finish(new(Checkpointing::Block)), kept);
        let mut half = new(Checkpointing::Block);
        half.run(|_, p| Ok(if p.step == 3 { Control::Stop } else { Control::Continue }))
            .unwrap();
        let mut resumed = new(Checkpointing::None);
        resumed.restore(&half.state_bytes().unwrap()).unwrap();
        assert_eq!(finish(resumed), kept);
    }
}

#[test]
fn auto_goes_by_shapes() {
    let (unet, reference) = tiny();
    let with = |batch, checkpointing| {
        let options = Options {
            batch,
            checkpointing,
            ..small(PARA)
        };
        trainer(&unet, data(&reference), options)
    };
    let kept = |batch| with(batch, Checkpointing::None).memory_estimate().unwrap();
    let fits = (1 << 30) / kept(1).activations;
    // The estimate grows with the batch as the tensors do, all of which have its size as a factor.
    assert_eq!(kept(fits).activations / fits, kept(1).activations);
    assert!(!with(fits, Checkpointing::Auto).recomputes());
    assert!(with(fits + 1, Checkpointing::Auto).recomputes());
    let f64_unet = in_f64(&unet);
    let options = Options {
        batch: fits,
        ..small(PARA)
    };
    let double = trainer(&f64_unet, data(&reference), options);
    assert!(!double.recomputes(), "auto is decided as for f32");
    let (auto, none) = (with(fits + 1, Checkpointing::Auto), with(fits + 1, Checkpointing::None));
    let [auto, none] = [auto, none].map(|t| t.memory_estimate().unwrap());
    assert!(auto.activations < none.activations / 2);
    assert_eq!((auto.weights, auto.optimizer), (none.weights, none.optimizer));
    let bytes: usize = unet.tensors().values().map(|t| 4 * t.elem_count()).sum();
    assert_eq!(auto.weights, bytes);
}

/// What one training in a process of its own needs.
#[derive(Debug)]
struct Measured {
    estimate: f64,
    growth: f64,
}

fn in_a_process(settings: &[(&str, &str)]) -> Measured {
    let program = std::env::current_exe().unwrap();
    let arguments = ["memory::measure", "--exact", "--ignored", "--nocapture"];
    let output = Command::new(program)
        .args(arguments)
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|l| l.split_once("MEASURED ")).unwrap().1;
    println!("{settings:?}: {line}");
    let number = |key: &str| -> f64 {
        let after = line.split_once(&format!("{key} ")).unwrap().1;
        after.split_whitespace().next().unwrap().parse().unwrap()
    };
    Measured {
        estimate: number("estimate"),
        growth: number("growth"),
    }
}

#[test]
#[cfg(target_os = "linux")]
fn recomputing_takes_less_memory_and_the_estimate_is_near() {
    // Few threads, and freed memory given back at once (glibc), so that the peak is that of live tensors.
    let size = [
        ("PARA_BATCH", "4"),
        ("PARA_SIDE", "48"),
        ("PARA_STEPS", "1"),
        ("RAYON_NUM_THREADS", "2"),
        ("MALLOC_MMAP_THRESHOLD_", "65536"),
    ];
    let measure = |mode| in_a_process(&[&size[..], &[("PARA_CHECKPOINT", mode)]].concat());
    let (none, block) = (measure("none"), measure("block"));
    assert!(block.growth < 0.5 * none.growth, "{none:?} {block:?}");
    for measured in [none, block] {
        let ratio = measured.estimate / measured.growth;
        assert!(
            (0.6..1.4).contains(&ratio),
            "estimate / measured {ratio:.2}: {measured:?}"
        );
    }
}

/// A UNet with random weights that keep the size of what flows through.
fn random_unet(config: UnetConfig) -> Unet {
    let mut tensors = BTreeMap::new();
    let normal = |shape: &[usize], deviation: f64| Tensor::randn(0f32, deviation as f32, shape, &Device::Cpu).unwrap();
    for module in module_shapes(&config).unwrap() {
        let (path, inputs) = (&module.path, module.shape[1]);
        let fan: usize = module.shape[1..].iter().product();
        let weight = normal(&module.shape, 1.0 / (fan as f64).sqrt());
        tensors.insert(format!("{path}.weight"), weight);
        if module.bias {
            let zeros = Tensor::zeros(module.shape[0], DType::F32, &Device::Cpu).unwrap();
            tensors.insert(format!("{path}.bias"), zeros);
        }
        // The normalisation before a layer has the width of its input.
        for (layer, norm) in [
            ("conv1", "norm1"),
            ("conv2", "norm2"),
            ("proj_in", "norm"),
            ("attn1.to_q", "norm1"),
            ("attn2.to_q", "norm2"),
            ("ff.net.0.proj", "norm3"),
            ("conv_out", "conv_norm_out"),
        ] {
            let Some(block) = path.strip_suffix(layer) else {
                continue;
            };
            let ones = Tensor::ones(inputs, DType::F32, &Device::Cpu).unwrap();
            tensors.insert(format!("{block}{norm}.weight"), ones.clone());
            tensors.insert(format!("{block}{norm}.bias"), ones.zeros_like().unwrap());
        }
    }
    Unet::new(config, tensors).unwrap()
}

/// Trains a few steps and prints the estimate, the growth of the process's peak, and the time of a step. By hand:
/// `PARA_MODEL=sd15 PARA_CHECKPOINT=block cargo test --release --workspace --test adapters -- memory::measure --ignored --nocapture`.
#[test]
#[ignore = "a measurement: run in a process of its own"]
fn measure() {
    let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let number = |name: &str, default: &str| variable(name, default).parse::<usize>().unwrap();
    let model = variable("PARA_MODEL", "shipped");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../graphs/assets/emoji-xl");
    let unet = match model.as_str() {
        "sd15" => random_unet(UnetConfig::sd15()),
        _ => {
            let config = std::fs::read_to_string(format!("{folder}/unet/config.json")).unwrap();
            let weights = Weights::open(format!("{folder}/unet")).unwrap().into_tensors();
            Unet::new(UnetConfig::from_json(&config).unwrap(), weights).unwrap()
        }
    };
    let config = unet.config().clone();
    let own = config.sample_size.as_ref().map_or(64, |s| s.at(0)).to_string();
    let side = number("PARA_SIDE", &own);
    let mut generator = Generator::manual_seed(1);
    let mut draw = |shape: &[usize]| generator.randn(shape).unwrap();
    let mean = draw(&[1, config.in_channels, side, side]);
    let tokens = if model == "sd15" { 77 } else { 32 };
    let pooled = config.addition_embed_type.as_ref().map(|_| {
        let sizes = 6 * config.addition_time_embed_dim.unwrap();
        draw(&[1, config.projection_class_embeddings_input_dim.unwrap() - sizes])
    });
    let data = TrainData {
        std: (mean.ones_like().unwrap() * 0.1).unwrap(),
        scaling: 0.5,
        states: draw(&[1, tokens, config.cross_attention_dim.at(0)]),
        time_ids: pooled
            .is_some()
            .then(|| Tensor::new(&[[64f32, 64.0, 0.0, 0.0, 64.0, 64.0]], &Device::Cpu).unwrap()),
        pooled,
        mean,
    };
    let checkpointing = match variable("PARA_CHECKPOINT", "auto").as_str() {
        "none" => Checkpointing::None,
        "block" => Checkpointing::Block,
        _ => Checkpointing::Auto,
    };
    let options = Options {
        batch: number("PARA_BATCH", "1"),
        steps: number("PARA_STEPS", "3"),
        checkpointing,
        ..Options::para()
    };
    let schedule = std::fs::read_to_string(format!("{folder}/scheduler/scheduler_config.json")).unwrap();
    let schedule = Ddim::for_training(DdimConfig::from_json(&schedule).unwrap());
    let mut trainer = Trainer::new(Arc::new(unet), schedule, data, options).unwrap();
    let estimate = trainer.memory_estimate().unwrap();
    let kib = |name: &str| -> f64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    };
    let before = kib("VmRSS:");
    let mut times = Vec::new();
    let mut start = Instant::now();
    let mut loss = 0.0;
    trainer
        .run(|_, progress| {
            loss = progress.loss;
            times.push(start.elapsed().as_secs_f64() * 1e3);
            start = Instant::now();
            Ok(Control::Continue)
        })
        .unwrap();
    times.sort_by(f64::total_cmp);
    println!(
        "MEASURED estimate {:.1} growth {:.1} MB (left {:.1}), weights {:.1} MB, step {:.1} ms (fastest {:.1}), recomputes {}, loss {loss:.9}",
        estimate.working() as f64 / 1e6,
        (kib("VmHWM:") - before) * 1.024e-3,
        (kib("VmRSS:") - before) * 1.024e-3,
        estimate.weights as f64 / 1e6,
        times[times.len() / 2],
        times[0],
        trainer.recomputes(),
    );
}
