//! Reading and writing adapter files.

use crate::common::{assert_close, distance, failure, fixture, para_of, projector, random};
use diffusion::adapter::Adapter;
use diffusion::adapter::apply::{Applied, Options};
use diffusion::adapter::combine::{self, Cap};
use diffusion::adapter::file::{self, Content};
use diffusion::adapter::lora::LoraModule;
use diffusion::adapter::model::{AdaptedText, adapt_text};
use diffusion::adapter::names::{ModuleName, Part, UnetLayout};
use diffusion::adapter::para::Para;
use diffusion::linalg;
use diffusion::unet::UnetConfig;
use sdk::candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

const PATH: &str = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q";

fn sample(seed: u64) -> Para {
    let q = para_of(&random(48, 3, seed), DType::F32).modules["m"].clone();
    let conv = para_of(&random(32, 2, seed + 1), DType::F32).modules["m"].clone();
    let modules = BTreeMap::from([(PATH.to_string(), q), ("mid_block.resnets.1.conv2".to_string(), conv)]);
    let mut para = Para::new(modules, DType::F32).unwrap();
    para.layout = Some(UnetLayout::from(&UnetConfig::sdxl()));
    para.info = BTreeMap::from([
        ("para.rank".into(), "3".into()),
        ("para.instance_prompt".into(), "a \"sks\" dog\n".into()),
    ]);
    para
}

#[test]
fn native_files_round_trip_bit_for_bit() {
    let adapter = Adapter::Para(sample(1));
    let bytes = adapter.to_bytes().unwrap();
    let read = Adapter::from_bytes(&bytes).unwrap();
    assert_eq!(read.to_bytes().unwrap(), bytes);
    let (old, new) = (&adapter.paras()[0], &read.paras()[0]);
    assert_eq!(
        (&old.info, &old.layout, old.precision),
        (&new.info, &new.layout, new.precision)
    );
    assert_eq!(
        old.modules.keys().collect::<Vec<_>>(),
        new.modules.keys().collect::<Vec<_>>()
    );
    for (path, q) in &old.modules {
        assert_close(path, &new.modules[path], q, 0.0);
    }
    let content = Content::parse(&bytes).unwrap();
    let names: Vec<_> = content.tensors.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.para_q",
            "lora_unet_middle_block_2_out_layers_3.para_q",
        ]
    );
    assert_eq!(
        content.metadata["modelspec.architecture"],
        "stable-diffusion-xl-v1-base/para"
    );
    // Equal content, equal bytes, whatever the order of insertion.
    assert_eq!(Adapter::Para(sample(1)).to_bytes().unwrap(), bytes);
    let keys: Vec<_> = bytes
        .windows(5)
        .enumerate()
        .filter(|(_, w)| w == b"para.")
        .map(|(i, _)| i)
        .collect();
    assert!(keys.len() >= 4);
}

#[test]
fn a_sequence_keeps_its_order() {
    let (a, b) = (sample(1), sample(7));
    let adapter = Adapter::ParaSequence(vec![b.clone(), a.clone(), b.clone()]);
    let read = Adapter::from_bytes(&adapter.to_bytes().unwrap()).unwrap();
    assert_eq!(read.kind(), "PaRa sequence");
    assert_eq!(read.paras().len(), 3);
    for (got, want) in read.paras().iter().zip([&b, &a, &b]) {
        assert_eq!(got.info, want.info);
        assert_close("q", &got.modules[PATH], &want.modules[PATH], 0.0);
    }
    assert_eq!(read.to_bytes().unwrap(), adapter.to_bytes().unwrap());
    let text = failure(adapter.lora_bytes(&BTreeMap::new(), &UnetLayout::from(&UnetConfig::sdxl()), DType::F16));
    assert!(text.contains("merge"), "{text}");
}

#[test]
fn f16_files_are_true_projectors_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/bear.safetensors");
    let adapter = Adapter::Para(sample(3));
    sdk::atomic::write(&path, &adapter.file_bytes(None, Some(DType::F16)).unwrap()).unwrap();
    sdk::atomic::write(&path, &adapter.file_bytes(None, Some(DType::F16)).unwrap()).unwrap();
    let read = Adapter::open(&path).unwrap();
    let para = &read.paras()[0];
    assert_eq!(para.precision, DType::F16);
    let (q, old) = (
        linalg::matrix(&para.modules[PATH]).unwrap(),
        linalg::matrix(&adapter.paras()[0].modules[PATH]).unwrap(),
    );
    assert!(linalg::orthonormality_error(&q) < 1e-6);
    let turned = (projector(&q) - projector(&old)).norm_l2();
    assert!(turned > 1e-6 && turned < 2e-3, "{turned:e}");
    // Its precision survives a passage through the exact store.
    let stored = Adapter::from_bytes(&read.to_bytes().unwrap()).unwrap();
    assert_eq!(stored.paras()[0].precision, DType::F16);
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file stays");
}

#[test]
fn raw_matrices_are_made_orthonormal() {
    let b = random(20, 2, 5);
    let padded = linalg::Matrix::from_fn(20, 3, |i, j| if j < 2 { b[(i, j)] } else { 0.0 });
    let tensor = linalg::tensor(&padded, DType::F32).unwrap();
    let bytes = file::to_bytes(
        [("lora_unet_mid_block_resnets_1_conv2.para_b".to_string(), &tensor)],
        &BTreeMap::new(),
    )
    .unwrap();
    let read = Adapter::from_bytes(&bytes).unwrap();
    let q = linalg::matrix(&read.paras()[0].modules["mid_block.resnets.1.conv2"]).unwrap();
    assert_eq!(q.ncols(), 2);
    assert!((&b - projector(&q) * &b).norm_l2() < 1e-5);
}

#[test]
fn kohya_files_survive_the_store() {
    for name in ["kohya_locon_sgm.safetensors", "peft_lora.safetensors"] {
        let adapter = Adapter::open(&fixture(name)).unwrap();
        let bytes = adapter.to_bytes().unwrap();
        let read = Adapter::from_bytes(&bytes).unwrap();
        let (Adapter::Lora(old), Adapter::Lora(new)) = (&adapter, &read) else {
            panic!("LoRAs")
        };
        assert_eq!(
            old.modules.keys().collect::<Vec<_>>(),
            new.modules.keys().collect::<Vec<_>>()
        );
        for (key, module) in &old.modules {
            assert_eq!(module.alpha, new.modules[key].alpha, "{name} {key}");
            assert_eq!(module.down.dtype(), new.modules[key].down.dtype());
            assert_close("down", &new.modules[key].down, &module.down, 0.0);
            assert_close("up", &new.modules[key].up, &module.up, 0.0);
        }
    }
}

#[test]
fn damaged_files_are_described() {
    let bytes = Adapter::Para(sample(1)).to_bytes().unwrap();
    let cut = |n: usize| failure(Adapter::from_bytes(&bytes[..n]));
    assert!(
        cut(bytes.len() - 5).contains("truncated or damaged"),
        "{}",
        cut(bytes.len() - 5)
    );
    assert!(cut(100).contains("header alone takes"), "{}", cut(100));
    assert!(cut(3).contains("3 bytes"), "{}", cut(3));
    assert!(cut(0).contains("0 bytes"), "{}", cut(0));
    let mut huge = bytes.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(failure(Adapter::from_bytes(&huge)).contains("not a safetensors file"));
    assert!(failure(Adapter::from_bytes(b"PK\x03\x04 a zipped pickle of torch")).contains("pickle"));
    let mut garbled = bytes.clone();
    garbled[9] = b'!';
    assert!(failure(Adapter::from_bytes(&garbled)).contains("safetensors"));
    let folder = tempfile::tempdir().unwrap();
    assert!(failure(Adapter::open(folder.path())).contains("adapter_config.json"));
    assert!(failure(Adapter::open(&folder.path().join("none.safetensors"))).contains("none.safetensors"));
    // Any cut at all fails cleanly.
    for n in (0..bytes.len()).step_by(37) {
        assert!(Adapter::from_bytes(&bytes[..n]).is_err(), "{n}");
    }
}

fn single(name: &str, shape: &[usize], value: f32) -> Vec<u8> {
    let tensor = Tensor::full(value, shape, &Device::Cpu).unwrap();
    file::to_bytes([(name.to_string(), &tensor)], &BTreeMap::new()).unwrap()
}

#[test]
fn contents_that_make_no_sense_are_refused() {
    let read = |name: &str, shape: &[usize], value: f32| failure(Adapter::from_bytes(&single(name, shape, value)));
    let q = "lora_unet_mid_block_resnets_1_conv2.para_q";
    assert!(read(q, &[4, 8], 1.0).contains("more than its 4 rows"));
    assert!(read(q, &[4, 2, 2], 1.0).contains("(d_out, rank)"));
    assert!(read(q, &[4, 2], f32::NAN).contains("not finite"));
    assert!(read("lora_te_text_model_encoder_layers_0_mlp_fc1.para_q", &[4, 2], 1.0).contains("does not belong"));
    assert!(read("lora_unet_x.lora_down.weight", &[2, 4], 1.0).contains("lora_up.weight is missing"));
    assert!(read("lora_unet_x.lora_up.weight", &[4, 2], 1.0).contains("lora_down.weight is missing"));
    assert!(read("lora_unet_x.surprise", &[4, 2], 1.0).contains("surprise"));
    assert!(read("unet.x.lora_A.weight", &[2, 4], 1.0).contains("one half"));
    assert!(read("model.diffusion_model.out.2.weight", &[2, 4], 1.0).contains("no known kind"));
    let half = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
    assert!(failure(LoraModule::new(half(&[2, 4]), half(&[4, 3]), None, None)).contains("do not fit"));
    assert!(failure(LoraModule::new(half(&[2, 4]), half(&[4, 2]), None, Some(f64::NAN))).contains("alpha"));
}

#[test]
fn other_kinds_are_named() {
    for (file, kind) in [
        ("lycoris_loha", "LoHa"),
        ("lycoris_lokr", "LoKr"),
        ("lycoris_diag_oft", "OFT"),
    ] {
        let text = failure(Adapter::open(&fixture(&format!("{file}.safetensors"))));
        assert!(
            text.contains(&format!("a {kind} adapter")) && text.contains("not built in"),
            "{text}"
        );
    }
    for (tensor, kind) in [("dora_scale", "DoRA"), ("on_input", "IA3"), ("diff", "full difference")] {
        let text = failure(Adapter::from_bytes(&single(
            &format!("lora_unet_x.{tensor}"),
            &[4],
            1.0,
        )));
        assert!(text.contains(kind), "{text}");
    }
    let text = failure(Adapter::open(&fixture("peft_para_relu_must_be_refused")));
    assert!(
        text.contains("relu") && text.contains("no orthogonal projection"),
        "{text}"
    );
}

#[test]
fn tucker_cores_equal_the_sum_over_their_indices() {
    let mut generator = diffusion::noise::Generator::manual_seed(3);
    let mut draw = |shape: &[usize]| generator.randn(shape).unwrap();
    let (down, mid, up) = (draw(&[2, 5, 1, 1]), draw(&[2, 2, 3, 3]), draw(&[4, 2, 1, 1]));
    let weight = draw(&[4, 5, 3, 3]);
    let module = LoraModule::new(down.clone(), up.clone(), Some(mid.clone()), Some(1.0)).unwrap();
    assert_eq!(module.shape(), [4, 5, 3, 3]);
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (d, m, u) = (values(&down), values(&mid), values(&up));
    let mut expected = Vec::new();
    for o in 0..4 {
        for i in 0..5 {
            for k in 0..9 {
                let sum: f32 = (0..4)
                    .map(|pq| u[o * 2 + pq / 2] * m[pq * 9 + k] * d[(pq % 2) * 5 + i])
                    .sum();
                expected.push(sum * 0.5);
            }
        }
    }
    let expected = Tensor::from_vec(expected, (4, 5, 3, 3), &Device::Cpu).unwrap();
    assert_close("tucker", &module.delta(&weight).unwrap(), &expected, 1e-6);
}

#[test]
fn text_encoders_take_their_part_of_a_lora() {
    let name = "text_model.encoder.layers.0.self_attn.q_proj";
    let mut generator = diffusion::noise::Generator::manual_seed(4);
    let (down, up, weight) = (
        generator.randn((2, 16)).unwrap(),
        generator.randn((16, 2)).unwrap(),
        generator.randn((16, 16)).unwrap(),
    );
    let tensors = [
        (format!("text_encoder_2.{name}.lora_A.weight"), &down),
        (format!("text_encoder_2.{name}.lora_B.weight"), &up),
    ];
    let bytes = file::to_bytes(tensors, &BTreeMap::new()).unwrap();
    let adapter = Arc::new(Adapter::from_bytes(&bytes).unwrap());
    assert_eq!(
        adapter.modules(),
        [ModuleName {
            part: Part::Text2,
            path: name.into()
        }]
    );
    let applied = [Applied {
        adapter,
        options: Options {
            strength: 0.5,
            ..Options::default()
        },
    }];
    let expected = (&weight + (up.matmul(&down).unwrap() * 0.5).unwrap()).unwrap();
    for key in [
        format!("{name}.weight"),
        format!("{}.weight", &name["text_model.".len()..]),
    ] {
        let base = BTreeMap::from([(key.clone(), weight.clone())]);
        let (changed, coverage) = adapt_text(Part::Text2, &base, &applied).unwrap();
        assert_close("text", &changed[&key], &expected, 1e-6);
        assert!(distance(&changed[&key], &weight) > 0.1);
        assert_eq!(coverage.unwrap().matched, [name]);
        let (none, coverage) = adapt_text(Part::Text, &base, &applied).unwrap();
        assert!(none.is_empty());
        assert_eq!(coverage.unwrap().elsewhere[&Part::Text2], 1);
    }
}

#[test]
fn a_lora_of_both_text_encoders_changes_what_they_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/");
    let load = |family: &str| {
        let folder = diffusion::folder::ModelFolder::open(format!("{folder}{family}")).unwrap();
        Arc::new(folder.text(DType::F32, &Device::Cpu).unwrap())
    };
    let mut generator = diffusion::noise::Generator::manual_seed(8);
    let mut tensors = Vec::new();
    for prefix in ["lora_te1", "lora_te2"] {
        let stem = format!("{prefix}_text_model_encoder_layers_0_self_attn_q_proj");
        tensors.push((format!("{stem}.lora_down.weight"), generator.randn((2, 16)).unwrap()));
        tensors.push((format!("{stem}.lora_up.weight"), generator.randn((16, 2)).unwrap()));
    }
    let bytes = file::to_bytes(tensors.iter().map(|(n, t)| (n.clone(), t)), &BTreeMap::new()).unwrap();
    let adapter = Arc::new(Adapter::from_bytes(&bytes).unwrap());
    let base = AdaptedText::new(load("tiny-sdxl"));
    let (adapted, coverage) = base.apply(adapter.clone(), Options::default()).unwrap();
    assert_eq!(coverage.iter().map(|c| c.matched.len()).collect::<Vec<_>>(), [1, 1]);
    let say = |text: &AdaptedText| text.text.encode("a cat").unwrap();
    let (before, after) = (say(&base), say(&adapted));
    for half in [0, 16] {
        let part = |e: &diffusion::text::Encoded| e.states.narrow(2, half, 16).unwrap().contiguous().unwrap();
        assert!(
            distance(&part(&after), &part(&before)) > 1e-3,
            "encoder with columns from {half}"
        );
    }
    let none = base
        .apply(
            adapter.clone(),
            Options {
                strength: 0.0,
                ..Options::default()
            },
        )
        .unwrap()
        .0;
    assert_close("scale 0", &say(&none).states, &before.states, 0.0);
    let one = AdaptedText::new(load("tiny-sd15"));
    assert!(failure(one.apply(adapter, Options::default()).map(|_| ())).contains("second text encoder"));
}

#[test]
fn adapters_of_other_origin_combine_under_one_models_names() {
    let layout = UnetLayout::from(&UnetConfig::sdxl());
    let native = sample(1);
    // The same directions, from a file with sgm names that does not say which UNet it is for.
    let sgm = native
        .modules
        .iter()
        .map(|(p, q)| (layout.to_sgm(p).unwrap(), q.clone()));
    let foreign = Para::new(sgm.collect(), DType::F32).unwrap();
    let named = foreign.for_layout(&layout);
    let (merged, _) = combine::merge(&[&native, &named], None, Cap::Warn).unwrap();
    assert_eq!(merged.modules.len(), 2);
    for (path, q) in &native.modules {
        assert_close(path, &merged.modules[path], q, 0.0);
    }
    assert_eq!(merged.layout, Some(layout));
    let mut other = native.clone();
    other.layout = Some(UnetLayout::from(&UnetConfig::sd15()));
    let text = failure(combine::merge(&[&foreign, &native, &other], None, Cap::Warn));
    assert!(
        text.contains("adapter 3 was made for another kind of model than adapter 2"),
        "{text}"
    );
}
