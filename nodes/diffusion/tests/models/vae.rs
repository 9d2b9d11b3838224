use crate::common::{assert_close, expected, failure, fixture, folder, relative_error, want};
use diffusion::noise::Generator;
use diffusion::vae::{Vae, VaeConfig};
use diffusion::weights::Weights;
use sdk::candle_core::{DType, Device};

#[test]
fn pictures_and_latents_equal_diffusers() {
    for family in ["tiny-sdxl", "tiny-sd15"] {
        let (reference, vae) = (expected(family), folder(family).vae(&Device::Cpu).unwrap());
        let of = |name: &str| want(&reference, name);
        let posterior = vae.encode(&of("image")).unwrap();
        assert_close(&format!("{family} mean"), &posterior.mode(), &of("vae_mean"), 1e-5);
        assert_close(&format!("{family} logvar"), &posterior.logvar, &of("vae_logvar"), 1e-5);
        let image = vae.decode(&of("vae_mean")).unwrap();
        assert_close(&format!("{family} decode"), &image, &of("vae_decode"), 1e-5);
        let wide = vae.encode(&of("image_nonsquare")).unwrap();
        assert_close(&format!("{family} wide"), &wide.mean, &of("vae_mean_nonsquare"), 1e-5);
    }
}

#[test]
fn a_draw_has_the_posterior_s_mean_and_deviation() {
    let (reference, vae) = (expected("tiny-sdxl"), folder("tiny-sdxl").vae(&Device::Cpu).unwrap());
    let posterior = vae.encode(&want(&reference, "image")).unwrap();
    let draw = posterior.sample(&mut Generator::manual_seed(5)).unwrap();
    let noise = Generator::manual_seed(5).randn(posterior.mean.shape().clone()).unwrap();
    let deviation = posterior.logvar.exp().unwrap().sqrt().unwrap();
    let back = ((draw - &posterior.mean).unwrap() / deviation).unwrap();
    assert_close("noise", &back, &noise, 1e-4);
}

#[test]
fn names_and_shapes_of_older_files_are_read() {
    let path = fixture("tiny-sdxl/vae");
    let config = VaeConfig::from_json(&std::fs::read_to_string(path.join("config.json")).unwrap()).unwrap();
    let tensors = Weights::open(&path).unwrap().into_tensors();
    let mut renamed = 0;
    let old = tensors
        .iter()
        .map(|(name, tensor)| {
            let Some(at) = name.find(".attentions.") else {
                return (name.clone(), tensor.clone());
            };
            let mut name = name.clone();
            for (new, old) in [
                (".to_q.", ".query."),
                (".to_k.", ".key."),
                (".to_v.", ".value."),
                (".to_out.0.", ".proj_attn."),
            ] {
                name.replace_range(at.., &name[at..].replace(new, old));
            }
            renamed += 1;
            let tensor = if tensor.rank() == 2 {
                tensor.unsqueeze(2).unwrap().unsqueeze(3).unwrap()
            } else {
                tensor.clone()
            };
            (name, tensor.to_dtype(DType::F64).unwrap())
        })
        .collect();
    assert_eq!(renamed, 20);
    let (old, new) = (
        Vae::new(config.clone(), old).unwrap(),
        Vae::new(config, tensors).unwrap(),
    );
    let latent = Generator::manual_seed(1).randn((1, 4, 5, 3)).unwrap();
    assert_eq!(
        relative_error(&old.decode(&latent).unwrap(), &new.decode(&latent).unwrap()),
        0.0
    );
}

#[test]
fn what_is_not_built_is_refused() {
    for (key, value) in [
        ("latents_mean", "[0.1, 0.2]"),
        ("shift_factor", "0.0609"),
        ("up_block_types", r#"["UpDecoderBlock2D", "AttnUpDecoderBlock2D"]"#),
        ("norm_num_groups", "7"),
        ("_class_name", r#""AutoencoderTiny""#),
    ] {
        let message = failure(VaeConfig::from_json(&format!(r#"{{"{key}": {value}}}"#)));
        assert!(message.contains(key), "{message}");
    }
    let vae = folder("tiny-sdxl").vae(&Device::Cpu).unwrap();
    let gray = Generator::manual_seed(1).randn((1, 1, 16, 16)).unwrap();
    assert!(failure(vae.encode(&gray)).contains("(n, 3, height, width)"));
    assert!(failure(vae.decode(&gray)).contains("(n, 4, height, width)"));
}
