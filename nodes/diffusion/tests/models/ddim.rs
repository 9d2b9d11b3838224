use crate::common::{assert_close, failure};
use diffusion::ddim::{BetaSchedule, Ddim, DdimConfig, Prediction, Spacing};
use diffusion::noise::Generator;

fn stable() -> DdimConfig {
    DdimConfig {
        beta_start: 0.00085,
        beta_end: 0.012,
        beta_schedule: BetaSchedule::ScaledLinear,
        clip_sample: false,
        set_alpha_to_one: false,
        steps_offset: 1,
        ..DdimConfig::default()
    }
}

#[test]
fn timesteps_are_those_of_diffusers() {
    let with = |timestep_spacing, steps| {
        Ddim::new(
            DdimConfig {
                timestep_spacing,
                ..stable()
            },
            steps,
        )
        .unwrap()
        .timesteps()
        .to_vec()
    };
    assert_eq!(with(Spacing::Leading, 5), [801, 601, 401, 201, 1]);
    // 999.5 and 499.5 go to the even neighbour, as numpy rounds.
    assert_eq!(with(Spacing::Linspace, 5), [999, 749, 500, 250, 0]);
    assert_eq!(with(Spacing::Trailing, 3), [999, 666, 332]);
    let thirty = with(Spacing::Trailing, 30);
    assert_eq!(
        (thirty.len(), &thirty[..4], thirty[29]),
        (30, &[999, 966, 932, 899][..], 32)
    );
    assert_eq!(with(Spacing::Leading, 999).len(), 999);
    assert!(failure(Ddim::new(stable(), 1000)).contains("timestep 1000"));
    assert!(failure(Ddim::new(stable(), 0)).contains("0 sampling steps"));
    assert!(failure(Ddim::new(stable(), 1001)).contains("1 to 1000"));
}

#[test]
fn strength_keeps_the_last_steps() {
    let ddim = Ddim::new(stable(), 10).unwrap();
    assert_eq!(ddim.timesteps_from(1.0).unwrap(), ddim.timesteps());
    assert_eq!(ddim.timesteps_from(0.39).unwrap(), [201, 101, 1]);
    assert!(ddim.timesteps_from(0.0).unwrap().is_empty());
    assert!(failure(ddim.timesteps_from(1.1)).contains("0…1"));
}

/// ᾱ of the first and of the last step, known from the definition of each schedule.
#[test]
fn schedules_start_and_end_where_they_should() {
    let ends = |config| {
        let ddim = Ddim::for_training(config);
        (ddim.alphas_cumprod()[0], ddim.alphas_cumprod()[999])
    };
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6 * b.abs().max(1e-3), "{a} against {b}");
    let (first, last) = ends(stable());
    near(first, 0.99915);
    near(last, 0.004660095);
    let (first, last) = ends(DdimConfig::default());
    near(first, 0.9999);
    near(last, 4.035832e-5);
    let cosine = DdimConfig {
        beta_schedule: BetaSchedule::SquaredcosCapV2,
        ..stable()
    };
    let bar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
    let middle = Ddim::for_training(cosine).alphas_cumprod()[499];
    assert!((middle - bar(0.5) / bar(0.0)).abs() < 1e-6, "{middle}");
    let (first, last) = ends(DdimConfig {
        rescale_betas_zero_snr: true,
        ..stable()
    });
    assert!((first - 0.99915).abs() < 1e-6 && last.abs() < 1e-12, "{first} {last}");
}

#[test]
fn an_exact_model_brings_the_clean_latents_back() {
    let mut generator = Generator::manual_seed(2);
    let (clean, noise) = (
        generator.randn((2, 4, 3, 5)).unwrap(),
        generator.randn((2, 4, 3, 5)).unwrap(),
    );
    for prediction_type in [Prediction::Epsilon, Prediction::VPrediction, Prediction::Sample] {
        let ddim = Ddim::new(
            DdimConfig {
                prediction_type,
                set_alpha_to_one: true,
                ..stable()
            },
            4,
        )
        .unwrap();
        let mut x = ddim.add_noise(&clean, &noise, &[ddim.timesteps()[0]; 2]).unwrap();
        for t in ddim.timesteps().to_vec() {
            let output = ddim.target(&clean, &noise, &[t, t]).unwrap();
            assert_close("implied", &ddim.predict_clean(&output, t, &x).unwrap(), &clean, 1e-5);
            x = ddim.step(&output, t, &x, 0.0, None).unwrap();
        }
        assert_close(&format!("{prediction_type:?}"), &x, &clean, 1e-5);
    }
    let ddim = Ddim::new(stable(), 4).unwrap();
    let mixed = ddim.add_noise(&clean, &noise, &[999, 0]).unwrap();
    assert_close("pure noise", &mixed.get(0).unwrap(), &noise.get(0).unwrap(), 0.1);
    assert_close("nearly clean", &mixed.get(1).unwrap(), &clean.get(1).unwrap(), 0.05);
    assert!(failure(ddim.add_noise(&clean, &noise, &[1])).contains("1 timesteps for 2"));
    assert!(failure(ddim.add_noise(&clean, &noise, &[1, 1000])).contains("timestep 1000"));
    assert!(failure(ddim.step(&noise, 751, &mixed, 0.5, None)).contains("needs noise"));
}

#[test]
fn published_configurations_of_other_schedulers_are_read() {
    let pndm = r#"{"_class_name": "PNDMScheduler", "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085,
        "num_train_timesteps": 1000, "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1, "trained_betas": null}"#;
    assert_eq!(DdimConfig::from_json(pndm).unwrap(), stable());
    assert!(
        DdimConfig::from_json(r#"{"_class_name": "DDIMScheduler"}"#)
            .unwrap()
            .clip_sample
    );
    assert!(
        failure(DdimConfig::from_json(
            r#"{"_class_name": "FlowMatchEulerDiscreteScheduler"}"#
        ))
        .contains("betas")
    );
    assert!(failure(DdimConfig::from_json(r#"{"thresholding": true}"#)).contains("thresholding"));
    assert!(failure(DdimConfig::from_json(r#"{"prediction_type": "flow"}"#)).contains("flow"));
}
