use crate::common::{assert_close, expected, failure, fixture, want};
use diffusion::folder::ModelFolder;
use diffusion::layer::{Hook, Hooks, Layer, LayerKind};
use diffusion::noise::Generator;
use diffusion::unet::{Added, Module, Unet, UnetConfig, module_shapes};
use diffusion::weights::Weights;
use sdk::candle_core::{DType, Device, Tensor, Var};
use std::collections::BTreeMap;
use std::sync::Arc;

fn unet(family: &str) -> Unet {
    let folder = fixture(family).join("unet");
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let tensors = Weights::open(&folder).unwrap().into_tensors();
    Unet::new(UnetConfig::from_json(&config).unwrap(), tensors).unwrap()
}

fn added(reference: &Weights) -> Added {
    Added {
        pooled: want(reference, "pooled"),
        time_ids: want(reference, "time_ids"),
    }
}

fn timesteps(values: &[f32]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap()
}

/// Against the same model in f64, PyTorch's own f32 values are off by up to 8e-6 in a row, and so are these.
#[test]
fn predictions_equal_diffusers() {
    for family in ["tiny-sdxl", "tiny-sd15"] {
        let (unet, reference) = (unet(family), expected(family));
        let (latent, context) = (want(&reference, "latent"), want(&reference, "prompt_embeds"));
        let added = (family == "tiny-sdxl").then(|| added(&reference));
        for t in [981.0, 401.0, 1.0] {
            let got = unet
                .forward(&latent, &timesteps(&[t, t]), &context, added.as_ref(), &Hooks::none())
                .unwrap();
            assert_close(
                &format!("{family} t={t}"),
                &got,
                &want(&reference, &format!("unet_out_t{t}")),
                3e-5,
            );
        }
    }
}

/// The shipped model's UNet on each of the reference's inputs (tests/peers/reference.py), beside what diffusers says.
fn shipped(dtype: DType) -> Vec<(&'static str, Tensor, Tensor)> {
    let folder = ModelFolder::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../graphs/assets/emoji-xl")).unwrap();
    let unet = folder.unet(dtype, &Device::Cpu).unwrap();
    let reference = Weights::open(fixture("emoji-xl.safetensors")).unwrap();
    let run = |name: &'static str| {
        let input = |key: &str| want(&reference, &format!("{name}.{key}"));
        let added = Added {
            pooled: input("pooled"),
            time_ids: input("time_ids"),
        };
        let (latent, times, states) = (input("latent"), input("timesteps"), input("states"));
        let out = unet
            .forward(&latent, &times, &states, Some(&added), &Hooks::none())
            .unwrap();
        (name, out, input("out"))
    };
    ["one", "two", "odd"].map(run).into()
}

/// Layers wide enough for every kernel: packed weights, Winograd's convolutions, small feature maps.
#[test]
fn the_shipped_model_equals_diffusers() {
    for (name, got, want) in shipped(DType::F32) {
        assert_close(name, &got, &want, 1e-5);
    }
}

/// Weights and the operands of products have eight bits; 60 layers on, that is a per cent.
#[test]
fn bf16_is_near() {
    for (name, got, want) in shipped(DType::BF16) {
        assert_eq!(got.dtype(), DType::F32);
        assert_close(name, &got, &want, 0.03);
    }
}

#[test]
fn each_sample_has_its_own_timestep() {
    let (unet, reference) = (unet("tiny-sdxl"), expected("tiny-sdxl"));
    let got = unet
        .forward(
            &want(&reference, "latent"),
            &timesteps(&[981.0, 1.0]),
            &want(&reference, "prompt_embeds"),
            Some(&added(&reference)),
            &Hooks::none(),
        )
        .unwrap();
    for (row, t) in [(0, 981), (1, 1)] {
        let want = want(&reference, &format!("unet_out_t{t}"));
        assert_close(
            &format!("row {row}"),
            &got.get(row).unwrap(),
            &want.get(row).unwrap(),
            1e-5,
        );
    }
}

#[test]
fn odd_sizes_run_and_a_batch_does_not_mix() {
    let (unet, reference) = (unet("tiny-sd15"), expected("tiny-sd15"));
    let context = want(&reference, "prompt_embeds");
    let x = Generator::manual_seed(3).randn((2, 4, 9, 13)).unwrap();
    let both = unet
        .forward(&x, &timesteps(&[500.0, 20.0]), &context, None, &Hooks::none())
        .unwrap();
    assert_eq!(both.dims(), [2, 4, 9, 13]);
    let second = |t: &Tensor| t.narrow(0, 1, 1).unwrap().contiguous().unwrap();
    let alone = unet
        .forward(
            &second(&x),
            &timesteps(&[20.0]),
            &second(&context),
            None,
            &Hooks::none(),
        )
        .unwrap();
    assert_close("second of two", &second(&both), &alone, 1e-5);
}

#[test]
fn sdxl_modules_are_those_of_diffusers_in_its_order() {
    let text = std::fs::read_to_string(fixture("sdxl_modules.json")).unwrap();
    let listed: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let want: Vec<(String, bool, Vec<usize>)> = listed
        .iter()
        .map(|m| {
            let shape = serde_json::from_value(m["shape"].clone()).unwrap();
            (m["path"].as_str().unwrap().to_owned(), m["kind"] == "Linear", shape)
        })
        .collect();
    let got: Vec<(String, bool, Vec<usize>)> = module_shapes(&UnetConfig::sdxl())
        .unwrap()
        .into_iter()
        .map(|m: Module| (m.path, m.kind == LayerKind::Linear, m.shape))
        .collect();
    assert_eq!(got.len(), 794);
    assert_eq!(got, want);
    let sd15 = module_shapes(&UnetConfig::sd15()).unwrap();
    let projections = sd15.iter().filter(|m| m.path.ends_with("proj_in")).collect::<Vec<_>>();
    assert!(projections.iter().all(|m| m.shape[2..] == [1, 1]) && projections.len() == 16);
}

#[test]
fn modules_of_a_loaded_model_equal_those_of_its_configuration() {
    for family in ["tiny-sdxl", "tiny-sd15"] {
        let unet = unet(family);
        assert_eq!(unet.modules(), module_shapes(unet.config()).unwrap());
    }
}

#[test]
fn replaced_weights_change_the_output_and_nothing_else() {
    let (unet, reference) = (unet("tiny-sd15"), expected("tiny-sd15"));
    let name = "mid_block.attentions.0.transformer_blocks.0.attn2.to_v.weight";
    let doubled = (&unet.tensors()[name] * 2.0).unwrap();
    let run = |unet: &Unet| {
        let context = want(&reference, "prompt_embeds");
        unet.forward(
            &want(&reference, "latent"),
            &timesteps(&[401.0, 401.0]),
            &context,
            None,
            &Hooks::none(),
        )
        .unwrap()
    };
    let changed = unet
        .with_weights(&BTreeMap::from([(name.to_owned(), doubled)]))
        .unwrap();
    assert!(crate::common::relative_error(&run(&changed), &run(&unet)) > 1e-4);
    let back = BTreeMap::from([(name.to_owned(), unet.tensors()[name].clone())]);
    assert_eq!(
        crate::common::relative_error(&run(&changed.with_weights(&back).unwrap()), &run(&unet)),
        0.0
    );
    let transposed = BTreeMap::from([("conv_in.bias".to_owned(), unet.tensors()[name].clone())]);
    assert!(failure(unet.with_weights(&transposed)).contains("expected [16]"));
    let unknown = BTreeMap::from([("conv_in.bais".to_owned(), unet.tensors()[name].clone())]);
    assert!(failure(unet.with_weights(&unknown)).contains("`conv_in.bias`"));
}

#[test]
fn all_that_does_not_fit_is_in_one_error() {
    let whole = unet("tiny-sdxl");
    let mut tensors = whole.tensors().clone();
    let moved = tensors.remove("conv_out.weight").unwrap();
    tensors.insert("conv_out.wieght".into(), moved);
    tensors.insert("conv_in.bias".into(), tensors["conv_out.bias"].clone());
    let message = failure(Unet::new(whole.config().clone(), tensors));
    for part in [
        "1 missing (`conv_out.weight`)",
        "`conv_in.bias` has shape [4], expected [16]",
        "1 unexpected (`conv_out.wieght`)",
    ] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn inputs_of_another_model_are_refused() {
    let (unet, reference) = (unet("tiny-sdxl"), expected("tiny-sdxl"));
    let (x, context, added) = (
        want(&reference, "latent"),
        want(&reference, "prompt_embeds"),
        added(&reference),
    );
    let t = timesteps(&[1.0, 1.0]);
    let none = Hooks::none();
    assert!(failure(unet.forward(&x, &t, &context, None, &none)).contains("pooled text"));
    assert!(failure(unet.forward(&x, &timesteps(&[1.0]), &context, Some(&added), &none)).contains("expected [2]"));
    let narrow = context.narrow(2, 0, 16).unwrap();
    assert!(failure(unet.forward(&x, &t, &narrow, Some(&added), &none)).contains("[2, tokens, 32]"));
    assert!(
        failure(unet.forward(&x.narrow(1, 0, 3).unwrap(), &t, &context, Some(&added), &none)).contains("3 channels")
    );
}

#[test]
fn unsupported_architectures_are_refused_by_name() {
    let text = std::fs::read_to_string(fixture("tiny-sdxl/unet/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (key, value) in [
        ("class_embed_type", serde_json::json!("timestep")),
        ("resnet_time_scale_shift", "scale_shift".into()),
        ("addition_embed_type", "image".into()),
        ("attention_type", "gated".into()),
        ("time_cond_proj_dim", 256.into()),
        ("only_cross_attention", serde_json::json!([true, false, true])),
        ("transformer_layers_per_block", serde_json::json!([[1, 1], 1, 2])),
        ("transformer_layers_per_block", serde_json::json!([1, 2])),
        (
            "down_block_types",
            serde_json::json!(["AttnDownBlock2D", "DownBlock2D", "DownBlock2D"]),
        ),
        ("norm_num_groups", 7.into()),
    ] {
        let mut changed = config.clone();
        changed[key] = value;
        let message = failure(UnetConfig::from_json(&changed.to_string()));
        assert!(message.contains(key), "{key}: {message}");
    }
    assert!(failure(UnetConfig::from_json("{ not json")).contains("line 1"));
    assert_eq!(
        UnetConfig::from_json(r#"{"cross_attention_dim": 768, "sample_size": 64}"#).unwrap(),
        UnetConfig::sd15()
    );
}

/// Scales the output of a module by a learnt factor for each channel.
struct Gain(Tensor);

impl Hook for Gain {
    fn forward(&self, layer: &Layer, x: &Tensor) -> sdk::Result<Tensor> {
        let shaped = |t: &Tensor| match layer.kind {
            LayerKind::Linear => Ok(t.clone()),
            LayerKind::Conv2d { .. } => t.reshape((1, (), 1, 1)),
        };
        let y = layer.plain(x, None)?;
        let y = y.broadcast_mul(&shaped(&(&self.0 + 1.0)?)?)?;
        Ok(match &layer.bias {
            Some(bias) => y.broadcast_add(&shaped(bias)?)?,
            None => y,
        })
    }
}

/// The derivative of Σ out·w along a direction, from backward and, if asked, from finite differences.
fn slopes(unet: &Unet, reference: &Weights, path: &str, size: (usize, usize)) -> (f64, f64) {
    let dtype = unet.dtype();
    let width = unet.modules().into_iter().find(|m| m.path == path).unwrap().shape[0];
    let mut generator = Generator::manual_seed(11);
    let mut draw = |shape: &[usize]| generator.randn(shape).unwrap().to_dtype(dtype).unwrap();
    let (x, weights) = (draw(&[2, 4, size.0, size.1]), draw(&[2, 4, size.0, size.1]));
    let direction = draw(&[width]);
    let (context, added) = (want(reference, "prompt_embeds"), added(reference));
    let loss = |gain: &Tensor| {
        let mut hooks = Hooks::none();
        hooks.insert(path, Arc::new(Gain(gain.clone())));
        let out = unet
            .forward(&x, &timesteps(&[700.0, 30.0]), &context, Some(&added), &hooks)
            .unwrap();
        (out * &weights).unwrap().sum_all().unwrap()
    };
    let number = |t: Tensor| t.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap();
    let gain = Var::from_tensor(&direction.zeros_like().unwrap()).unwrap();
    let grads = loss(gain.as_tensor()).backward().unwrap();
    let dot = (grads.get(gain.as_tensor()).expect("a gradient") * &direction).unwrap();
    let step = 1e-6;
    let at = |s: f64| number(loss(&(&direction * s).unwrap()));
    (number(dot.sum_all().unwrap()), (at(step) - at(-step)) / (2.0 * step))
}

#[test]
fn gradients_reach_hooked_modules() {
    let (single, reference) = (unet("tiny-sdxl"), expected("tiny-sdxl"));
    // Finite differences need f64; the f32 model must then have the same slope.
    let double = single
        .tensors()
        .iter()
        .map(|(name, t)| (name.clone(), t.to_dtype(DType::F64).unwrap()))
        .collect();
    let double = Unet::new(single.config().clone(), double).unwrap();
    for path in [
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k",
        "down_blocks.0.resnets.0.conv1",
        "mid_block.attentions.0.transformer_blocks.1.ff.net.0.proj",
        "time_embedding.linear_1",
        "conv_in",
    ] {
        for size in [(16, 16), (9, 9)] {
            let (exact, numeric) = slopes(&double, &reference, path, size);
            let (in_f32, _) = slopes(&single, &reference, path, size);
            let error = (exact - numeric).abs() / numeric.abs();
            let f32_error = (in_f32 - numeric).abs() / numeric.abs();
            println!("{path} {size:?}: slope {numeric:.6}, relative error {error:.1e} in f64, {f32_error:.1e} in f32");
            assert!(
                error < 1e-6,
                "{path} {size:?}: {exact} against {numeric}, relative error {error:.3e}"
            );
            assert!(
                f32_error < 1e-3,
                "{path} {size:?}: {in_f32} against {numeric}, relative error {f32_error:.3e}"
            );
        }
    }
}
