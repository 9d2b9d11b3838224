//! Computes the build id of a shared library (`sdk` and `diffusion` use this same script): everything that
//! changes its Rust ABI or its arithmetic and that the linker would not notice by itself. The compiler,
//! target, profile, flags, features, and all source text count; the folder it is built in does not.

#![allow(clippy::print_stdout, reason = "cargo reads a build script's standard output")]

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io, process};

fn main() -> io::Result<()> {
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = process::Command::new(rustc).arg("-vV").output()?.stdout;
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if !flags.contains("prefer-dynamic") {
        println!(
            "cargo::error=the flag -Cprefer-dynamic is missing: RUSTFLAGS in the environment replaces the flags of .cargo/config.toml; unset it"
        );
    }
    let release = String::from_utf8_lossy(&version)
        .lines()
        .next()
        .unwrap_or("rustc")
        .to_owned();
    parts.push(("rustc".into(), version));
    for (key, value) in env::vars() {
        let counts = ["TARGET", "PROFILE", "OPT_LEVEL", "DEBUG", "CARGO_PKG_VERSION"].contains(&key.as_str());
        if counts || key.starts_with("CARGO_FEATURE_") || key == "DEP_SDK_BUILD_ID" {
            parts.push((key, value.into_bytes()));
        }
    }
    parts.push(("flags".into(), flags.into_bytes()));
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    // The graph crate and the macros are part of sdk's interface; they lie beside it in the workspace.
    for folder in ["src", "macros/src", "../../runner/graph/src"] {
        let folder = root.join(folder);
        let belongs = root.file_name().is_some_and(|n| n == "sdk") || folder.ends_with("diffusion/src");
        if folder.is_dir() && belongs {
            println!("cargo::rerun-if-changed={}", folder.display());
            read_sources(&root, &folder, &mut parts)?;
        }
    }
    for manifest in ["Cargo.toml", "../../Cargo.toml"] {
        let path = root.join(manifest);
        if path.is_file() {
            println!("cargo::rerun-if-changed={}", path.display());
            parts.push((manifest.into(), fs::read(path)?));
        }
    }
    parts.sort();
    let id: String = (0u64..2)
        .map(|salt| {
            let mut hasher = DefaultHasher::new();
            (salt, &parts).hash(&mut hasher);
            format!("{:016x}", hasher.finish())
        })
        .collect();
    println!("cargo::rustc-env=PARA_BUILD_ID={id}");
    println!("cargo::rustc-env=PARA_RUSTC={release}");
    println!(
        "cargo::rustc-env=PARA_TARGET={}",
        env::var("TARGET").unwrap_or_default()
    );
    // `links` hands sdk's id on to the build script of diffusion, as DEP_SDK_BUILD_ID.
    println!("cargo::metadata=BUILD_ID={id}");
    Ok(())
}

fn read_sources(root: &Path, folder: &Path, parts: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_sources(root, &path, parts)?;
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            parts.push((name, fs::read(&path)?));
        }
    }
    Ok(())
}
