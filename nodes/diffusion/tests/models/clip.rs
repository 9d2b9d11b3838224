use crate::common::{assert_close, failure, fixture, folder, relative_error};
use diffusion::clip::{ClipConfig, ClipText};
use diffusion::layer::Hooks;
use diffusion::weights::Weights;
use sdk::candle_core::{DType, Device};
use std::collections::BTreeMap;

fn second() -> ClipText {
    let text = folder("tiny-sdxl").text(DType::F32, &Device::Cpu).unwrap();
    text.encoders()[1].model.clone()
}

#[test]
fn the_old_id_of_the_end_token_pools_at_the_highest_id() {
    let model = second();
    let ids = vec![vec![914, 320, 915, 0, 0], vec![914, 915, 0, 0, 0]];
    let new = model.forward(&ids, &Hooks::none()).unwrap();
    let config = ClipConfig {
        eos_token_id: 2,
        ..model.config().clone()
    };
    let old = ClipText::new(config, model.tensors().clone())
        .unwrap()
        .forward(&ids, &Hooks::none())
        .unwrap();
    assert_eq!(relative_error(&old.pooled, &new.pooled), 0.0);
    for (row, at) in [(0, 2), (1, 1)] {
        let state = new.last.get(row).unwrap().get(at).unwrap();
        assert_eq!(relative_error(&new.pooled.get(row).unwrap(), &state), 0.0);
    }
}

#[test]
fn later_tokens_do_not_change_earlier_states() {
    let model = second();
    let states = model
        .forward(&[vec![914, 5, 6, 7, 915], vec![914, 5, 6, 80, 90]], &Hooks::none())
        .unwrap()
        .last;
    let start = states.narrow(1, 0, 3).unwrap();
    assert_close("same start", &start.get(0).unwrap(), &start.get(1).unwrap(), 1e-6);
    let end = states.narrow(1, 3, 2).unwrap();
    assert!(relative_error(&end.get(0).unwrap(), &end.get(1).unwrap()) > 1e-2);
}

#[test]
fn modules_have_their_full_paths_and_can_be_replaced() {
    let folder = fixture("tiny-sdxl/text_encoder");
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let tensors = Weights::open(&folder).unwrap().into_tensors();
    assert!(
        tensors.contains_key("final_layer_norm.bias"),
        "this file has bare names"
    );
    let model = ClipText::new(ClipConfig::from_json(&config).unwrap(), tensors).unwrap();
    let paths: Vec<String> = model.modules().into_iter().map(|m| m.path).collect();
    assert_eq!(paths.len(), 18);
    assert_eq!(paths[2], "text_model.encoder.layers.0.self_attn.q_proj");
    let name = "text_model.encoder.layers.0.mlp.fc2.weight";
    let zero = BTreeMap::from([(name.to_owned(), model.tensors()[name].zeros_like().unwrap())]);
    let run = |m: &ClipText| m.forward(&[vec![914, 5, 915]], &Hooks::none()).unwrap().last;
    assert!(relative_error(&run(&model.with_weights(&zero).unwrap()), &run(&model)) > 1e-3);
}

#[test]
fn tokens_of_another_model_are_refused() {
    let model = second();
    let none = Hooks::none();
    assert!(failure(model.forward(&[vec![914, 916]], &none)).contains("token 916"));
    assert!(failure(model.forward(&[vec![1; 78]], &none)).contains("takes 77 tokens, found 78"));
    assert!(failure(model.forward(&[vec![1; 3], vec![1; 4]], &none)).contains("one length"));
    assert!(failure(ClipConfig::from_json(r#"{"hidden_act": "relu"}"#)).contains("relu"));
    assert!(failure(ClipConfig::from_json(r#"{"num_attention_heads": 7}"#)).contains("divide"));
}
