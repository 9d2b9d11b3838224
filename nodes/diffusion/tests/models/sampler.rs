use crate::common::{assert_close, expected, failure, folder, number, strings, want};
use diffusion::ddim::Ddim;
use diffusion::layer::Hooks;
use diffusion::noise::Generator;
use diffusion::sampler::{Conditioning, Sampling, sample};
use diffusion::text::TextEncoders;
use diffusion::unet::Added;
use sdk::candle_core::{DType, Device, Tensor};

fn conditioning(text: &TextEncoders, prompts: &[String], size: usize) -> Conditioning {
    let encoded: Vec<_> = prompts.iter().map(|p| text.encode(p).unwrap()).collect();
    let states: Vec<Tensor> = encoded.iter().map(|e| e.states.clone()).collect();
    let pooled: Vec<Tensor> = encoded.into_iter().filter_map(|e| e.pooled).collect();
    let added = (!pooled.is_empty()).then(|| Added::for_size(Tensor::cat(&pooled, 0).unwrap(), size, size).unwrap());
    Conditioning {
        states: Tensor::cat(&states, 0).unwrap(),
        added,
    }
}

/// From prompt and seed to picture, as the pipelines of diffusers do it.
fn trajectory(family: &str, eta: f64) {
    let (reference, folder) = (expected(family), folder(family));
    let of = |name: &str| want(&reference, name);
    let cpu = Device::Cpu;
    let (unet, text) = (
        folder.unet(DType::F32, &cpu).unwrap(),
        folder.text(DType::F32, &cpu).unwrap(),
    );
    let size = number(&reference, "size") as usize;
    let prompt = conditioning(&text, &strings(&reference, "prompts"), size);
    let negative = conditioning(&text, &strings(&reference, "negative"), size);
    let ddim = Ddim::new(folder.scheduler(), number(&reference, "steps") as usize).unwrap();
    let timesteps: Vec<i64> = ddim.timesteps().iter().map(|t| *t as i64).collect();
    assert_eq!(timesteps, of("ddim_timesteps").to_vec1::<i64>().unwrap());

    let mut generator = Generator::manual_seed(number(&reference, "seed") as u64);
    let edge = size / folder.vae_factor();
    let noise = generator.randn((2, 4, edge, edge)).unwrap();
    assert_close("starting noise", &noise, &of("ddim_init_noise"), 1e-6);
    let sampling = Sampling {
        unet: &unet,
        hooks: &Hooks::none(),
        ddim: &ddim,
        timesteps: ddim.timesteps(),
        prompt: &prompt,
        negative: Some(&negative),
        guidance: number(&reference, "guidance"),
        eta,
    };
    let name = format!("ddim_eta{eta}");
    let steps = of(&format!("{name}_latents"));
    let latents = sample(&sampling, &noise, &mut generator, &mut |step| {
        let want = steps.get(step.done - 1).unwrap();
        assert_close(
            &format!("{family} eta {eta} step {} of {}", step.done, step.total),
            step.latents,
            &want,
            1e-4,
        );
        Ok(())
    })
    .unwrap();
    assert_close("last", &latents, &steps.get(5).unwrap(), 1e-4);
    let vae = folder.vae(&cpu).unwrap();
    let image = vae.decode(&(latents / vae.scaling_factor()).unwrap()).unwrap();
    let image = ((image / 2.0).unwrap() + 0.5).unwrap().clamp(0f32, 1f32).unwrap();
    assert_close(
        &format!("{family} eta {eta} picture"),
        &image,
        &of(&format!("{name}_image")),
        1e-4,
    );
}

#[test]
fn deterministic_pictures_equal_diffusers() {
    trajectory("tiny-sdxl", 0.0);
    trajectory("tiny-sd15", 0.0);
}

#[test]
fn noisy_pictures_equal_diffusers() {
    trajectory("tiny-sdxl", 1.0);
}

#[test]
fn guidance_up_to_one_needs_no_negative_and_a_failing_callback_stops() {
    let folder = folder("tiny-sdxl");
    let unet = folder.unet(DType::F32, &Device::Cpu).unwrap();
    let text = folder.text(DType::F32, &Device::Cpu).unwrap();
    let prompt = conditioning(&text, &["a cat".to_owned()], 128);
    let ddim = Ddim::new(folder.scheduler(), 3).unwrap();
    let sampling = Sampling {
        unet: &unet,
        hooks: &Hooks::none(),
        ddim: &ddim,
        timesteps: ddim.timesteps_from(0.7).unwrap(),
        prompt: &prompt,
        negative: None,
        guidance: 1.0,
        eta: 0.0,
    };
    let mut generator = Generator::manual_seed(0);
    let noise = generator.randn((3, 4, 8, 8)).unwrap();
    let mut seen = Vec::new();
    let mut run = |sampling: &Sampling<'_>, fail_at: usize| {
        sample(sampling, &noise, &mut generator, &mut |step| {
            seen.push((step.done, step.total));
            if step.done == fail_at {
                Err(sdk::Error::cancelled())
            } else {
                Ok(())
            }
        })
    };
    // One prompt serves three latents.
    assert_eq!(run(&sampling, 0).unwrap().dims(), [3, 4, 8, 8]);
    assert!(run(&sampling, 1).unwrap_err().is_cancelled());
    assert!(
        failure(run(
            &Sampling {
                guidance: 3.0,
                ..sampling.clone()
            },
            0
        ))
        .contains("negative prompt")
    );
    assert_eq!(seen, [(1, 2), (2, 2), (1, 2)]);
}
