//! Names, subsets and the counts of the paper's Table 3.

use crate::common::fixture;
use diffusion::adapter::names::{ModuleName, Part, UnetLayout, block_of, dotted};
use diffusion::adapter::subset::{GammaScope, RankRule, Subset, rank_boundary, sizes};
use diffusion::unet::{UnetConfig, module_shapes};
use std::collections::{BTreeMap, BTreeSet};

fn json(name: &str) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(fixture(name)).unwrap()).unwrap()
}

#[test]
fn counts_of_table_3() {
    let modules = module_shapes(&UnetConfig::sdxl()).unwrap();
    let expected = json("table3.json");
    for subset in Subset::ALL {
        for rank in [2, 16, 128] {
            let rule = RankRule {
                rank,
                gamma: 0.025,
                scope: GammaScope::Conv,
            };
            let pairs = modules.iter().map(|m| (m.path.as_str(), m.shape.as_slice()));
            let got = sizes(pairs, subset, rule).unwrap();
            let want = &expected[subset.name()];
            let counts = &want[format!("r{rank}")];
            assert_eq!(serde_json::json!(got.modules), want["modules"], "{subset}");
            assert_eq!(serde_json::json!(got.para), counts["para"], "{subset} r{rank}");
            assert_eq!(serde_json::json!(got.lora), counts["lora"], "{subset} r{rank}");
        }
    }
}

#[test]
fn gamma_bounds_ranks_as_in_equation_8() {
    let rule = |gamma, scope| RankRule {
        rank: 128,
        gamma,
        scope,
    };
    let (linear, conv): (&[usize], &[usize]) = (&[320, 1280], &[320, 320, 3, 3]);
    assert_eq!(rule(0.025, GammaScope::Conv).rank(linear).unwrap(), 128);
    assert_eq!(rule(0.025, GammaScope::All).rank(linear).unwrap(), 8);
    assert_eq!(rule(0.025, GammaScope::Conv).rank(conv).unwrap(), 8);
    assert_eq!(rule(0.0, GammaScope::All).rank(linear).unwrap(), 0);
    assert_eq!(rule(1.0, GammaScope::All).rank(&[64, 32]).unwrap(), 32);
    for (shape, bound) in [(640, 16), (1280, 32), (39, 0)] {
        assert_eq!(rank_boundary(0.025, &[shape, 2000]).unwrap(), bound);
    }
    assert!(rule(1.5, GammaScope::All).rank(linear).is_err());
    assert!(rank_boundary(f64::NAN, linear).is_err());
    assert!(
        "ExCB"
            .parse::<Subset>()
            .unwrap_err()
            .help_text()
            .unwrap()
            .contains("ExCA-HL-Last")
    );
    assert_eq!("exca-hl".parse::<Subset>().unwrap(), Subset::ExCAHL);
}

#[test]
fn sgm_names_of_all_modules_of_sdxl() {
    let expected: BTreeMap<String, String> = serde_json::from_value(json("diffusers_to_sgm_sdxl.json")).unwrap();
    assert_eq!(expected.len(), 794);
    let layout = UnetLayout::from(&UnetConfig::sdxl());
    let modules = module_shapes(&UnetConfig::sdxl()).unwrap();
    assert_eq!(modules.len(), 794);
    for module in &modules {
        let sgm = layout.to_sgm(&module.path);
        assert_eq!(sgm.as_ref(), expected.get(&module.path), "{}", module.path);
    }
}

#[test]
fn every_spelling_leads_back_to_the_module() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/");
    let tiny = |f: &str| {
        let text = std::fs::read_to_string(format!("{folder}{f}/unet/config.json")).unwrap();
        UnetConfig::from_json(&text).unwrap()
    };
    for config in [
        UnetConfig::sdxl(),
        UnetConfig::sd15(),
        tiny("tiny-sdxl"),
        tiny("tiny-sd15"),
    ] {
        let layout = UnetLayout::from(&config);
        let mut stems = BTreeSet::new();
        for module in module_shapes(&config).unwrap() {
            let sgm = layout.to_sgm(&module.path).unwrap();
            assert_eq!(layout.from_sgm(&sgm).as_ref(), Some(&module.path), "{sgm}");
            for path in [&sgm, &module.path] {
                let stem = ModuleName::unet(path.clone()).to_kohya(layout.sdxl);
                let read = ModuleName::from_kohya(&stem).unwrap();
                assert_eq!(&read.path, path);
                assert_eq!(layout.diffusers(&read.path), module.path);
                assert!(stems.insert(stem), "{path} shares a name");
            }
        }
    }
    assert_eq!(
        dotted("text_model_encoder_layers_11_self_attn_out_proj"),
        "text_model.encoder.layers.11.self_attn.out_proj"
    );
    let text = ModuleName {
        part: Part::Text2,
        path: "text_model.encoder.layers.0.mlp.fc1".into(),
    };
    assert_eq!(text.to_kohya(true), "lora_te2_text_model_encoder_layers_0_mlp_fc1");
    assert_eq!(ModuleName::from_kohya(&text.to_kohya(true)), Some(text.clone()));
    let first = ModuleName {
        part: Part::Text,
        ..text
    };
    assert_eq!(first.to_kohya(false), "lora_te_text_model_encoder_layers_0_mlp_fc1");
    assert_eq!(ModuleName::from_kohya(&first.to_kohya(false)), Some(first.clone()));
    assert_eq!(ModuleName::from_kohya("something_else"), None);
}

#[test]
fn names_beyond_the_layout_are_not_invented() {
    let layout = UnetLayout::from(&UnetConfig::sdxl());
    for path in [
        "input_blocks.9.0.in_layers.2",
        "output_blocks.9.0.in_layers.2",
        "input_blocks.1.0.conv9",
        "middle_block.3.proj_in",
        "out.5",
        "x",
    ] {
        assert_eq!(layout.from_sgm(path), None, "{path}");
    }
    assert_eq!(layout.to_sgm("down_blocks.7.resnets.0.conv1"), None);
    assert_eq!(block_of("up_blocks.1.attentions.0.proj_in"), "up_blocks.1");
    assert_eq!(block_of("mid_block.resnets.0.conv1"), "mid_block");
    assert_eq!(block_of("conv_in"), "conv_in");
}
