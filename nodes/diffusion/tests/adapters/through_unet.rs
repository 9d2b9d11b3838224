//! Adapter files of other tools, through the UNet, against what those tools compute.

use crate::common::{assert_close, distance, failure, fixture, output_at_401, tensors, tiny, tiny_family};
use diffusion::adapter::Adapter;
use diffusion::adapter::apply::{Coverage, Options};
use diffusion::adapter::combine::{self, Cap};
use diffusion::adapter::lora::Lora;
use diffusion::adapter::model::AdaptedUnet;
use diffusion::adapter::names::UnetLayout;
use sdk::candle_core::{DType, Tensor};
use std::sync::Arc;

fn open(name: &str) -> Arc<Adapter> {
    Arc::new(Adapter::open(&fixture(name)).unwrap())
}

fn scaled(strength: f64) -> Options {
    Options {
        strength,
        ..Options::default()
    }
}

fn apply(base: &AdaptedUnet, adapter: &Arc<Adapter>, strength: f64) -> (AdaptedUnet, Coverage) {
    base.apply(adapter.clone(), scaled(strength)).unwrap()
}

#[test]
fn loras_of_other_tools_equal_their_own_output() {
    let (unet, reference) = tiny();
    let base = AdaptedUnet::new(unet);
    assert_close(
        "base",
        &output_at_401(&base.unet, &reference),
        &reference["unet_out_t401"],
        1e-4,
    );
    for (name, modules, scales) in [
        ("peft_lora", 153, [("scale1", 1.0), ("scale0.5", 0.5)]),
        ("kohya_locon_sgm", 201, [("scale1", 1.0), ("scale0_7", 0.7)]),
        ("kohya_lora_diffusers_names", 136, [("scale1", 1.0), ("scale0_7", 0.7)]),
    ] {
        let adapter = open(&format!("{name}.safetensors"));
        assert_eq!(adapter.kind(), "LoRA");
        let expected = tensors(&format!("{name}.expected.safetensors"));
        for (key, scale) in scales {
            let (adapted, coverage) = apply(&base, &adapter, scale);
            assert_eq!((coverage.matched.len(), coverage.is_full()), (modules, true), "{name}");
            let out = output_at_401(&adapted.unet, &reference);
            assert_close(&format!("{name} {key}"), &out, &expected[key], 1e-4);
            assert!(
                distance(&out, &reference["unet_out_t401"]) > 0.1,
                "{name} changes the output"
            );
        }
    }
}

#[test]
fn the_para_of_peft_equals_its_own_output() {
    let (unet, reference) = tiny();
    let expected = tensors("peft_para_qr.expected.safetensors");
    for path in ["peft_para_qr", "peft_para_qr/adapter_model.safetensors"] {
        let adapter = open(path);
        assert_eq!((adapter.kind(), adapter.rank()), ("PaRa", 3));
        let (adapted, coverage) = apply(&AdaptedUnet::new(unet.clone()), &adapter, 1.0);
        assert_eq!(coverage.matched.len(), 136);
        assert_close(path, &output_at_401(&adapted.unet, &reference), &expected["out"], 1e-4);
    }
}

#[test]
fn an_exported_para_is_the_para() {
    let (unet, reference) = tiny();
    let base = AdaptedUnet::new(unet.clone());
    let layout = UnetLayout::from(unet.config());
    let para = open("peft_para_qr");
    let exact = output_at_401(&apply(&base, &para, 1.0).0.unet, &reference);
    for (dtype, limit) in [(DType::F32, 1e-6), (DType::F16, 2e-3)] {
        let bytes = para.lora_bytes(unet.tensors(), &layout, dtype).unwrap();
        let lora = Adapter::from_bytes(&bytes).unwrap();
        assert!(lora.modules().iter().all(|m| m.path.starts_with("down_blocks")
            || m.path.starts_with("up_blocks")
            || m.path.starts_with("mid_block")));
        let header = String::from_utf8_lossy(&bytes[..20_000]).to_string();
        assert!(header.contains("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.lora_down.weight"));
        let (adapted, coverage) = apply(&base, &Arc::new(lora), 1.0);
        assert_eq!(coverage.matched.len(), 136);
        assert_close("export", &output_at_401(&adapted.unet, &reference), &exact, limit);
        if dtype == DType::F32 {
            let direct = apply(&base, &para, 1.0).0;
            for (name, weight) in direct.unet.tensors() {
                let other = &adapted.unet.tensors()[name];
                assert!(
                    weight.dims() == other.dims() && distance(weight, other) < 1e-6,
                    "{name}"
                );
            }
        }
    }
    // The export holds for one base: another model of the same shapes gives another file.
    let other = unet
        .tensors()
        .iter()
        .map(|(n, t)| (n.clone(), (t * 1.1).unwrap()))
        .collect();
    assert_ne!(
        para.lora_bytes(&other, &layout, DType::F32).unwrap(),
        para.lora_bytes(unet.tensors(), &layout, DType::F32).unwrap()
    );
}

#[test]
fn order_is_stated_and_weights_come_from_the_base() {
    let (unet, reference) = tiny();
    let base = AdaptedUnet::new(unet);
    let (para, lora) = (open("peft_para_qr"), open("peft_lora.safetensors"));
    let out = |u: &AdaptedUnet| output_at_401(&u.unet, &reference);
    let before = Options {
        before_para: true,
        ..scaled(0.5)
    };
    let first = apply(&apply(&base, &para, 1.0).0, &lora, 0.5).0;
    let second = apply(&apply(&base, &lora, 0.5).0, &para, 1.0).0;
    assert_close("PaRas come first", &out(&first), &out(&second), 0.0);
    let projected = apply(&base, &para, 1.0).0.apply(lora.clone(), before).unwrap().0;
    assert!(
        distance(&out(&projected), &out(&first)) > 1e-3,
        "before_para makes a difference"
    );
    let name = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q";
    let weight = |u: &AdaptedUnet| u.unet.tensors()[&format!("{name}.weight")].clone();
    let q = &para.paras()[0].modules[name];
    let inside = |w: &Tensor| {
        q.t()
            .unwrap()
            .matmul(w)
            .unwrap()
            .abs()
            .unwrap()
            .max_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
    };
    assert!(
        inside(&weight(&projected)) < 1e-5,
        "a LoRA before the PaRa is projected too"
    );
    assert!(inside(&weight(&first)) > 1e-3, "a LoRA after the PaRa is not");
    // Strength 0 is the base model, bit for bit in its output.
    assert_close("strength 0", &out(&apply(&base, &para, 0.0).0), &out(&base), 0.0);
    assert!(failure(base.apply(para.clone(), scaled(2.0))).contains("expected 0 to 1"));
    // A PaRa twice is the PaRa once; a merge of it with itself too.
    let once = apply(&base, &para, 1.0).0;
    assert_close("twice", &out(&apply(&once, &para, 1.0).0), &out(&once), 1e-5);
    let (same, _) = combine::merge(&[&para.paras()[0], &para.paras()[0]], None, Cap::Warn).unwrap();
    assert_close(
        "merged",
        &out(&apply(&base, &Arc::new(Adapter::Para(same)), 1.0).0),
        &out(&once),
        0.0,
    );
}

#[test]
fn less_than_full_coverage_is_an_error_with_the_cause() {
    let (sdxl, _) = tiny();
    let (sd15, _) = tiny_family("tiny-sd15");
    let para = open("peft_para_qr");
    let wrong = AdaptedUnet::new(sd15).apply(para, Options::default());
    let text = failure(wrong);
    assert!(
        text.contains("of its 136 modules") && text.contains("down_blocks.1"),
        "{text}"
    );
    assert!(text.contains("another kind of model"), "{text}");

    let Adapter::Lora(mut lora) = Adapter::open(&fixture("kohya_locon_sgm.safetensors")).unwrap() else {
        panic!("a LoRA");
    };
    let (mut name, module) = lora.modules.iter().next().map(|(n, m)| (n.clone(), m.clone())).unwrap();
    name.path = "up_blocks.1.resnets.0.conv9".into();
    lora.modules.insert(name, module);
    let base = AdaptedUnet::new(sdxl);
    let lora: Arc<Adapter> = Arc::new(Adapter::Lora(lora));
    let text = failure(base.apply(lora.clone(), Options::default()));
    assert!(
        text.contains("201 of its 202") && text.contains("conv9: not in the model"),
        "{text}"
    );
    assert!(text.contains("allow_partial"), "{text}");
    let partial = Options {
        allow_partial: true,
        ..Options::default()
    };
    let (_, coverage) = base.apply(lora, partial).unwrap();
    assert_eq!((coverage.matched.len(), coverage.unmatched.len()), (201, 1));
    let blocks = coverage.by_block();
    assert_eq!(blocks.values().map(|(hit, _)| hit).sum::<usize>(), 201);
    assert_eq!(blocks["up_blocks.1"], (0, 1));
    assert!(coverage.to_string().contains("input_blocks.4"), "{coverage}");
    // Nothing at all is never what was wanted.
    let Adapter::Lora(only) = Adapter::open(&fixture("peft_lora.safetensors")).unwrap() else {
        panic!("a LoRA");
    };
    let modules = only.modules.into_iter().map(|(mut n, m)| {
        n.path = format!("nowhere.{}", n.path);
        (n, m)
    });
    let lost = Arc::new(Adapter::Lora(Lora {
        modules: modules.collect(),
        ..Lora::default()
    }));
    assert!(failure(base.apply(lost, partial)).contains("fits 0 of its 153"));
}
