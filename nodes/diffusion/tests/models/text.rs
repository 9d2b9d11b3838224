use crate::common::{assert_close, expected, folder, strings, want};
use sdk::candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;

fn rows(list: Vec<Tensor>) -> Tensor {
    Tensor::cat(&list, 0).unwrap()
}

#[test]
fn prompts_are_encoded_as_by_the_pipelines() {
    for family in ["tiny-sdxl", "tiny-sd15"] {
        let (reference, text) = (expected(family), folder(family).text(DType::F32, &Device::Cpu).unwrap());
        let encoded = |key: &str| -> Vec<_> {
            strings(&reference, key)
                .iter()
                .map(|p| text.encode(p).unwrap())
                .collect()
        };
        for (key, states, pooled) in [
            ("prompts", "prompt_embeds", "pooled"),
            ("negative", "negative_embeds", "negative_pooled"),
        ] {
            let found = encoded(key);
            let got = rows(found.iter().map(|e| e.states.clone()).collect());
            assert_close(&format!("{family} {states}"), &got, &want(&reference, states), 1e-5);
            if family == "tiny-sdxl" {
                let got = rows(found.iter().map(|e| e.pooled.clone().unwrap()).collect());
                assert_close(&format!("{family} {pooled}"), &got, &want(&reference, pooled), 1e-5);
            } else {
                assert!(found.iter().all(|e| e.pooled.is_none()));
            }
            assert!(found.iter().all(|e| e.truncated.is_none()));
        }
    }
}

#[test]
fn no_negative_prompt_means_zeros_only_where_the_pipeline_says_so() {
    let largest = |t: &Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    let open = |path| {
        let folder = diffusion::folder::ModelFolder::open(path).unwrap();
        folder.text(DType::F32, &Device::Cpu).unwrap()
    };
    let zeros = open(crate::common::fixture("tiny-sdxl"));
    let none = zeros.encode_negative(None).unwrap();
    assert_eq!((largest(&none.states), largest(&none.pooled.unwrap())), (0.0, 0.0));
    let empty = zeros.encode_negative(Some("")).unwrap();
    assert!(largest(&empty.states) > 0.1 && largest(&empty.pooled.unwrap()) > 0.01);
    for path in [crate::common::fixture("tiny-sd15"), crate::folder::emoji_xl()] {
        let text = open(path);
        let (none, empty) = (text.encode_negative(None).unwrap(), text.encode("").unwrap());
        assert!(largest(&none.states) > 0.1);
        assert_close("the empty prompt", &none.states, &empty.states, 0.0);
    }
}

#[test]
fn long_prompts_tell_what_was_left_out() {
    let text = folder("tiny-sd15").text(DType::F32, &Device::Cpu).unwrap();
    let encoded = text.encode(&format!("{}END of it", "a cat ".repeat(60))).unwrap();
    assert!(encoded.truncated.unwrap().ends_with("END of it"));
    assert_eq!(encoded.states.dims(), [1, 77, 32]);
}

#[test]
fn one_encoder_can_be_changed() {
    let text = folder("tiny-sdxl").text(DType::F32, &Device::Cpu).unwrap();
    let name = "text_projection.weight";
    let doubled = (&text.encoders()[1].model.tensors()[name] * 2.0).unwrap();
    let changed = text
        .with_weights(1, &BTreeMap::from([(name.to_owned(), doubled)]))
        .unwrap();
    let (before, after) = (text.encode("a cat").unwrap(), changed.encode("a cat").unwrap());
    assert_close("states", &after.states, &before.states, 0.0);
    assert_close(
        "pooled",
        &after.pooled.unwrap(),
        &(before.pooled.unwrap() * 2.0).unwrap(),
        1e-6,
    );
    assert!(text.with_weights(2, &BTreeMap::new()).is_err());
}
