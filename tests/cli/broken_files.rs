//! Broken files in sound graphs: what is said of each stands in a snapshot in `broken_files/`.

use crate::support::workspace::{Ran, Workspace, snapshot};
use crate::support::{project, tensors};
use std::fs;
use std::path::{Path, PathBuf};

const DRAW: &str = r#"
    "base": { "type": "load/model", "params": { "path": "model" } },
    "prompt": { "type": "text/encode", "inputs": { "text": "base.text" }, "params": { "prompt": "a fox" } },
    "draw": { "type": "sample/ddim", "inputs": { "model": "base.model", "conditioning": "prompt.conditioning" }, "params": { "steps": 1 } },
    "picture": { "type": "vae/decode", "inputs": { "vae": "base.vae", "latent": "draw.latent" } },
    "save": { "type": "image/save", "inputs": { "images": "picture.images" } }"#;

const UNET: &str = "model/unet/diffusion_pytorch_model.safetensors";

/// A graph that draws with `graphs/model`, a copy of the shipped model.
fn with_model() -> Workspace {
    with_copy_of(&project::root().join("graphs/assets/emoji-xl"))
}

fn with_copy_of(model: &Path) -> Workspace {
    let workspace = Workspace::new();
    for file in project::files_below(model) {
        let name = Path::new("model").join(file.strip_prefix(model).unwrap());
        workspace.write(name.to_str().unwrap(), fs::read(&file).unwrap());
    }
    workspace.graph("g.json", DRAW);
    workspace
}

fn fixtures(name: &str) -> PathBuf {
    project::root().join("nodes/diffusion/tests").join(name)
}

/// Runs `g.json`, which has to fail with this exit code, a message and a way out, having written no result.
fn told(workspace: &Workspace, name: &str, code: i32) {
    let ran = workspace.para(&["run", "g.json", "--events", "quiet"]).exits(code);
    shown(workspace, name, &ran);
}

fn shown(workspace: &Workspace, name: &str, ran: &Ran) {
    assert_eq!(ran.stdout, "", "{name}: no file is announced");
    assert!(ran.stderr.contains("help: "), "{name}: no way out: {}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{name}: {}", ran.stderr);
    let left: Vec<String> = workspace
        .files()
        .into_iter()
        .filter(|file| file.contains("/out/") || file.contains(".para-"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "{name}");
    // Trees of model files are large; what matters is what is said.
    snapshot("cli/broken_files", name, &ran.stderr);
}

#[test]
fn the_copied_model_is_sound() {
    let workspace = with_model();
    workspace.run("g.json", &[]).exits(0);
    assert!(workspace.out("image_00001.png").is_file());
}

#[test]
fn weights_that_are_cut() {
    let workspace = with_model();
    let file = workspace.path("graphs").join(UNET);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() * 6 / 10]).unwrap();
    told(&workspace, "weights_cut", 3);
    fs::write(&file, &whole[..1000]).unwrap();
    told(&workspace, "weights_cut_in_header", 3);
    fs::write(&file, [&whole[..], b"more"].concat()).unwrap();
    told(&workspace, "weights_with_more_bytes", 3);
    fs::write(&file, "").unwrap();
    told(&workspace, "weights_empty", 3);
    // Made whole again, the same graph runs: no failure is remembered.
    fs::write(&file, &whole).unwrap();
    workspace.run("g.json", &[]).exits(0);
}

#[test]
fn weights_with_a_broken_header() {
    let workspace = with_model();
    let file = workspace.path("graphs").join(UNET);
    let whole = fs::read(&file).unwrap();
    let huge = [&u64::MAX.to_le_bytes()[..], &whole[8..]].concat();
    fs::write(&file, huge).unwrap();
    told(&workspace, "weights_header_length_huge", 3);
    let mut garbled = whole.clone();
    garbled[9..40].fill(b'?');
    fs::write(&file, garbled).unwrap();
    told(&workspace, "weights_header_garbled", 3);
    fs::write(&file, "these are notes about a model\n").unwrap();
    told(&workspace, "weights_are_text", 3);
}

#[test]
fn weights_that_do_not_fit() {
    let workspace = with_model();
    let file = workspace.path("graphs").join(UNET);
    let whole = fs::read(&file).unwrap();
    tensors::edit(&file, |all| {
        let (shape, _) = all.get_mut("conv_in.weight").unwrap();
        shape.reverse();
    });
    told(&workspace, "weights_other_shape", 3);
    fs::write(&file, &whole).unwrap();
    tensors::edit(&file, |all| {
        all.remove("mid_block.resnets.0.conv1.weight").unwrap();
    });
    told(&workspace, "weights_tensor_missing", 3);
    fs::write(&file, &whole).unwrap();
    tensors::edit(&file, |all| {
        all.insert("control.bias".into(), (vec![2], vec![0; 4]));
    });
    told(&workspace, "weights_tensor_too_many", 3);
    let vae = workspace.path("graphs/model/vae/diffusion_pytorch_model.safetensors");
    fs::copy(vae, &file).unwrap();
    told(&workspace, "weights_of_another_part", 3);
}

#[test]
fn model_folders_that_are_incomplete() {
    let workspace = with_model();
    let index = workspace.path("graphs/model/model_index.json");
    let text = fs::read_to_string(&index).unwrap();
    fs::write(&index, &text[..text.len() / 2]).unwrap();
    told(&workspace, "model_index_cut", 3);
    fs::write(&index, text.replace("StableDiffusionXLPipeline", "FluxPipeline")).unwrap();
    told(&workspace, "model_of_another_family", 3);
    fs::write(
        &index,
        text.replace("StableDiffusionXLPipeline", "StableDiffusionPipeline"),
    )
    .unwrap();
    told(&workspace, "model_index_of_sd15_on_sdxl", 3);
    fs::remove_file(&index).unwrap();
    told(&workspace, "model_index_missing", 3);
    fs::write(&index, &text).unwrap();

    let config = workspace.path("graphs/model/unet/config.json");
    let good = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        good.replace("\"layers_per_block\": 1", "\"layers_per_block\": \"one\""),
    )
    .unwrap();
    told(&workspace, "config_wrong_type", 3);
    fs::write(&config, good.replace("CrossAttnDownBlock2D", "MysteryBlock2D")).unwrap();
    told(&workspace, "config_unknown_block", 3);
    fs::write(&config, &good).unwrap();

    fs::write(workspace.path("graphs/model/tokenizer/tokenizer.json"), "{}").unwrap();
    told(&workspace, "tokenizer_empty", 3);
    fs::remove_dir_all(workspace.path("graphs/model/tokenizer_2")).unwrap();
    told(&workspace, "model_part_missing", 3);
    fs::remove_dir_all(workspace.path("graphs/model")).unwrap();
    told(&workspace, "model_missing", 1);
    workspace.write("model", "not a folder");
    told(&workspace, "model_is_a_file", 3);
}

#[test]
fn weights_that_are_pickled() {
    let workspace = with_model();
    let file = workspace.path("graphs").join(UNET);
    fs::remove_file(&file).unwrap();
    told(&workspace, "weights_missing", 3);
    workspace.write("model/unet/diffusion_pytorch_model.bin", b"PK\x03\x04");
    told(&workspace, "weights_pickled", 3);
}

#[test]
fn pictures_that_are_none() {
    let workspace = Workspace::new();
    workspace.graph(
        "g.json",
        r#""dogs": { "type": "load/images", "params": { "path": "dogs" } },
        "save": { "type": "image/save", "inputs": { "images": "dogs.images" } }"#,
    );
    told(&workspace, "pictures_missing", 1);
    workspace.write("dogs/notes.md", "no picture");
    told(&workspace, "pictures_folder_without", 3);
    let dog = fs::read(workspace.path("graphs/assets/subjects/dog/0.png")).unwrap();
    workspace.write("dogs/a.png", &dog);
    workspace.write("dogs/b.png", "a text, in spite of its name");
    told(&workspace, "picture_is_text", 3);
    workspace.write("dogs/b.png", &dog[..dog.len() / 2]);
    told(&workspace, "picture_cut", 3);
    workspace.write("dogs/b.png", "");
    told(&workspace, "picture_empty", 3);
    let mut damaged = dog.clone();
    damaged[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    workspace.write("dogs/b.png", damaged);
    told(&workspace, "picture_with_a_damaged_header", 3);
}

const APPLY: &str = r#"
    "base": { "type": "load/model", "params": { "path": "model" } },
    "adapter": { "type": "load/adapter", "params": { "path": "adapter.safetensors" } },
    "model": { "type": "TYPE", "inputs": { "model": "base.model", "adapters": "adapter.adapter" } },
    "again": { "type": "adapter/save", "inputs": { "adapter": "adapter.adapter", "model": "model.model" }, "params": { "path": "out/again.safetensors" } }"#;

fn applying(ty: &str, model: &Path) -> Workspace {
    let workspace = with_copy_of(model);
    workspace.graph("g.json", &APPLY.replace("TYPE", ty));
    workspace
}

/// A PaRa of the shipped model, one step old.
fn para_of_emoji_xl() -> Vec<u8> {
    let workspace = Workspace::new();
    workspace.graph("g.json", r#"
        "base": { "type": "load/model", "params": { "path": "assets/emoji-xl" } },
        "dogs": { "type": "load/images", "params": { "path": "assets/subjects/dog" } },
        "dog": { "type": "para/train", "inputs": { "model": "base.model", "text": "base.text", "vae": "base.vae", "images": "dogs.images" },
                 "params": { "prompt": "a sks dog", "steps": 1 } },
        "save": { "type": "adapter/save", "inputs": { "adapter": "dog.adapter", "model": "base.model" },
                  "params": { "path": "out/dog.safetensors" } }"#);
    workspace.run("g.json", &[]).exits(0);
    fs::read(workspace.out("dog.safetensors")).unwrap()
}

#[test]
fn adapters_that_do_not_fit() {
    let emoji = project::root().join("graphs/assets/emoji-xl");
    let para = para_of_emoji_xl();

    let workspace = applying("para/apply", &emoji);
    workspace.write("adapter.safetensors", &para);
    workspace.run("g.json", &[]).exits(0);
    fs::remove_dir_all(workspace.path("graphs/out")).unwrap();

    // Behind the header, and at a place that does not move with what else the header says.
    workspace.write("adapter.safetensors", &para[..40_000]);
    told(&workspace, "adapter_cut", 3);
    workspace.write("adapter.safetensors", "{ \"lora\": true }");
    told(&workspace, "adapter_is_text", 3);
    workspace.write("adapter.safetensors", b"PK\x03\x04 archive/data.pkl");
    told(&workspace, "adapter_pickled", 3);
    let file = workspace.write("adapter.safetensors", &para);
    tensors::edit(&file, |all| {
        let (name, value) = all.pop_first().unwrap();
        all.insert(name.replace(".para_q", ".mystery"), value);
    });
    told(&workspace, "adapter_with_a_strange_tensor", 3);
    let file = workspace.write("adapter.safetensors", &para);
    tensors::edit(&file, |all| {
        let (_, (_, data)) = all.iter_mut().next().unwrap();
        data[..2].copy_from_slice(&0x7e00u16.to_le_bytes());
    });
    told(&workspace, "adapter_with_nan", 3);
    let weights = fs::read(workspace.path("graphs").join(UNET)).unwrap();
    workspace.write("adapter.safetensors", weights);
    told(&workspace, "adapter_is_a_model", 3);
    fs::remove_file(&file).unwrap();
    told(&workspace, "adapter_missing", 1);

    let lora = fs::read(fixtures("fixtures-adapters/kohya_lora_diffusers_names.safetensors")).unwrap();
    workspace.write("adapter.safetensors", &lora);
    told(&workspace, "lora_applied_as_para", 3);

    let workspace = applying("lora/apply", &emoji);
    workspace.write("adapter.safetensors", &lora);
    told(&workspace, "lora_of_another_model", 3);
    workspace.write("adapter.safetensors", &para);
    told(&workspace, "para_applied_as_lora", 3);

    let workspace = applying("para/apply", &fixtures("fixtures/tiny-sd15"));
    workspace.write("adapter.safetensors", &para);
    told(&workspace, "para_of_sdxl_on_sd15", 3);
}
