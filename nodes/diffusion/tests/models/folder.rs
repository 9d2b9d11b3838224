use crate::common::{copy, failure, fixture};
use diffusion::ddim::Ddim;
use diffusion::folder::{Family, ModelFolder};
use diffusion::layer::Hooks;
use diffusion::noise::Generator;
use diffusion::sampler::{Conditioning, Sampling, sample};
use diffusion::unet::Added;
use sdk::candle_core::{DType, Device};
use std::path::{Path, PathBuf};

/// The model that ships with the project.
pub(crate) fn emoji_xl() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../graphs/assets/emoji-xl"))
}

#[test]
fn sizes_and_family_come_from_the_folder() {
    for (path, family, factor, size) in [
        (fixture("tiny-sdxl"), Family::Sdxl, 8, (128, 128)),
        (fixture("tiny-sd15"), Family::Sd15, 8, (64, 64)),
        (emoji_xl(), Family::Sdxl, 4, (64, 64)),
    ] {
        let folder = ModelFolder::open(path).unwrap();
        assert_eq!(
            (folder.family(), folder.vae_factor(), folder.default_size()),
            (family, factor, size)
        );
    }
}

#[test]
fn the_shipped_model_loads_in_f32_and_draws() {
    let folder = ModelFolder::open(emoji_xl()).unwrap();
    let cpu = Device::Cpu;
    let (unet, vae) = (folder.unet(DType::F32, &cpu).unwrap(), folder.vae(&cpu).unwrap());
    let text = folder.text(DType::F32, &cpu).unwrap();
    assert!(unet.tensors().values().all(|t| t.dtype() == DType::F32));
    let parameters: usize = unet.tensors().values().map(|t| t.elem_count()).sum();
    assert!((11_000_000..11_500_000).contains(&parameters), "{parameters}");
    let encode = |encoded: diffusion::text::Encoded| Conditioning {
        added: Some(Added::for_size(encoded.pooled.unwrap(), 64, 64).unwrap()),
        states: encoded.states,
    };
    let prompt = encode(text.encode("a photo of a fox in the snow").unwrap());
    assert_eq!(prompt.states.dims(), [1, 32, 256]);
    let negative = encode(text.encode_negative(None).unwrap());
    let ddim = Ddim::new(folder.scheduler(), 12).unwrap();
    let sampling = Sampling {
        unet: &unet,
        hooks: &Hooks::none(),
        ddim: &ddim,
        timesteps: ddim.timesteps(),
        prompt: &prompt,
        negative: Some(&negative),
        guidance: 5.0,
        eta: 0.0,
    };
    let mut generator = Generator::manual_seed(1);
    let noise = generator.randn((1, 4, 16, 16)).unwrap();
    let latents = sample(&sampling, &noise, &mut generator, &mut |_| Ok(())).unwrap();
    let picture = vae.decode(&(latents / vae.scaling_factor()).unwrap()).unwrap();
    assert_eq!(picture.dims(), [1, 3, 64, 64]);
    // A fox is redder than it is blue; snow makes the picture bright; noise would be neither smooth nor in range.
    let mean = |c: usize| {
        let channel = picture
            .narrow(1, c, 1)
            .unwrap()
            .narrow(2, 16, 32)
            .unwrap()
            .narrow(3, 16, 32)
            .unwrap();
        channel.mean_all().unwrap().to_scalar::<f32>().unwrap()
    };
    let left = picture.narrow(3, 0, 63).unwrap();
    let right = picture.narrow(3, 1, 63).unwrap();
    let roughness = (left - right)
        .unwrap()
        .abs()
        .unwrap()
        .mean_all()
        .unwrap()
        .to_scalar::<f32>()
        .unwrap();
    let reach = picture.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    println!(
        "red {:.3}, blue {:.3}, roughness {roughness:.3}, reach {reach:.3}",
        mean(0),
        mean(2)
    );
    assert!(
        mean(0) > mean(2) + 0.1,
        "red {} against blue {} in the middle",
        mean(0),
        mean(2)
    );
    assert!(roughness < 0.2 && reach < 1.6, "roughness {roughness}, reach {reach}");
}

#[track_caller]
fn broken(change: impl Fn(&Path), parts: &[&str]) {
    let folder = copy(&fixture("tiny-sdxl"));
    change(folder.path());
    let cpu = Device::Cpu;
    let message = failure(ModelFolder::open(folder.path()).and_then(|f| {
        f.unet(DType::F32, &cpu)?;
        f.vae(&cpu)?;
        f.text(DType::F32, &cpu)
    }));
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from));
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn broken_folders_are_explained() {
    broken(
        |f| std::fs::remove_file(f.join("model_index.json")).unwrap(),
        &["model_index.json"],
    );
    broken(
        |f| std::fs::write(f.join("model_index.json"), "not json").unwrap(),
        &["model_index.json", "line 1"],
    );
    broken(
        |f| {
            edit(&f.join("model_index.json"), "StableDiffusionXLPipeline", "FluxPipeline");
        },
        &["FluxPipeline", "StableDiffusionXLPipeline"],
    );
    broken(
        |f| {
            edit(
                &f.join("model_index.json"),
                "StableDiffusionXLPipeline",
                "StableDiffusionPipeline",
            );
        },
        &["model_index.json says StableDiffusionPipeline", "text_time"],
    );
    broken(
        |f| std::fs::remove_dir_all(f.join("tokenizer_2")).unwrap(),
        &["`tokenizer_2` is missing"],
    );
    broken(
        |f| std::fs::remove_file(f.join("vae/config.json")).unwrap(),
        &["vae/config.json"],
    );
    broken(
        |f| std::fs::write(f.join("unet/config.json"), "[]").unwrap(),
        &["unet/config.json", "object"],
    );
    broken(
        |f| {
            edit(
                &f.join("unet/config.json"),
                "\"layers_per_block\": 2",
                "\"layers_per_block\": 1",
            );
        },
        &["unexpected", "diffusion_pytorch_model.safetensors", "config.json"],
    );
    broken(
        |f| {
            edit(
                &f.join("text_encoder_2/config.json"),
                "CLIPTextModelWithProjection",
                "CLIPTextModel",
            );
        },
        &["text_encoder_2", "unexpected (`text_projection.weight`)"],
    );
    broken(
        |f| {
            let file = f.join("vae/diffusion_pytorch_model.safetensors");
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        },
        &["vae", "the file is cut"],
    );
}

#[test]
fn what_is_no_folder_is_explained() {
    let file = fixture("torch_noise.safetensors");
    let message = failure(ModelFolder::open(&file));
    assert!(
        message.contains("single-file checkpoints are not read yet") && message.contains("from_single_file"),
        "{message}"
    );
    assert!(failure(ModelFolder::open(fixture("clip_tokens.json"))).contains("expected the folder"));
    assert!(failure(ModelFolder::open(fixture("nowhere"))).contains("no such folder"));
    assert!(failure(ModelFolder::open(fixture("clip_tokenizer"))).contains("model_index.json"));
}
