//! Where a model comes from, as far as its files or its place tell.

use serde_json::Value as Json;
use std::fs;
use std::path::Path;

/// The origin of a file or folder: a repository of the Hugging Face hub, or the files that come with `para` in the
/// folder `home`. None when nothing says so.
pub fn origin(path: &Path, home: &Path) -> Option<String> {
    let canonical = path.canonicalize().ok()?;
    if let Some(shipped) = shipped(home)
        && let Ok(inside) = canonical.strip_prefix(&shipped)
    {
        return Some(format!(
            "graphs/assets/{} of para {}",
            inside.display(),
            env!("CARGO_PKG_VERSION")
        ));
    }
    in_hub_cache(path)
        .or_else(|| in_hub_cache(&canonical))
        .or_else(|| by_config(&canonical))
}

/// The folder of files that come with `para`: beside it in a release, in the workspace otherwise.
pub fn shipped(home: &Path) -> Option<std::path::PathBuf> {
    let found = home
        .ancestors()
        .take(4)
        .map(|folder| folder.join("graphs/assets"))
        .find(|folder| folder.is_dir());
    found.and_then(|folder| folder.canonicalize().ok())
}

/// `…/models--stabilityai--sdxl/snapshots/COMMIT/…` is the hub's own cache.
fn in_hub_cache(path: &Path) -> Option<String> {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let at = parts.iter().position(|part| part.starts_with("models--"))?;
    let name = parts[at].trim_start_matches("models--").replace("--", "/");
    let inside = match parts.get(at + 1..) {
        Some(["snapshots", commit, inside @ ..]) => format!("@{commit} {}", inside.join("/")),
        _ => String::new(),
    };
    Some(format!("https://huggingface.co/{name}{}", inside.trim_end()))
}

/// What diffusers and transformers write down when they save a model that they fetched.
fn by_config(folder: &Path) -> Option<String> {
    let name = ["model_index.json", "config.json", "unet/config.json"]
        .iter()
        .find_map(|file| {
            let json: Json = serde_json::from_slice(&fs::read(folder.join(file)).ok()?).ok()?;
            Some(json.get("_name_or_path")?.as_str()?.to_owned())
        })?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let (owner, model) = name.split_once('/')?;
    let is_hub = [owner, model]
        .iter()
        .all(|part| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain));
    is_hub.then(|| format!("https://huggingface.co/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hub_is_recognised_by_place_and_by_config() {
        let cached = Path::new("/x/hub/models--stabilityai--sdxl-base/snapshots/462165/unet");
        assert_eq!(
            in_hub_cache(cached).unwrap(),
            "https://huggingface.co/stabilityai/sdxl-base@462165 unet"
        );
        let folder = tempfile::tempdir().unwrap();
        let says = |name: &str| {
            fs::write(
                folder.path().join("model_index.json"),
                format!("{{\"_name_or_path\": \"{name}\"}}"),
            )
            .unwrap();
            by_config(folder.path())
        };
        assert_eq!(
            says("runwayml/stable-diffusion-v1-5").unwrap(),
            "https://huggingface.co/runwayml/stable-diffusion-v1-5"
        );
        for path in ["/data/model", "./model", "model", "../a/b"] {
            assert_eq!(says(path), None, "{path}");
        }
    }

    #[test]
    fn what_ships_with_para_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("graphs/assets/emoji-xl");
        fs::create_dir_all(&model).unwrap();
        let home = folder.path().join("target/release");
        fs::create_dir_all(&home).unwrap();
        assert!(
            origin(&model, &home)
                .unwrap()
                .starts_with("graphs/assets/emoji-xl of para ")
        );
    }
}
