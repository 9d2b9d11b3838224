//! The plugin kit: compiles packs of nodes that live outside of the workspace, against the very libraries that this
//! `para` loads.
//!
//! A pack does not name `sdk` in its manifest. Its crate is compiled with `--extern sdk=…` on the shared library
//! beside `para` and on the metadata of what is inside it, so that candle is neither compiled again nor there twice,
//! and a pack cannot change the features of anything that is shared. In the workspace that metadata lies in the
//! target folder; beside a release it is the folder `sdk`.

pub mod cargo;
pub mod installed;
pub mod lint;
pub mod repository;
pub mod template;

use crate::failure::{Failure, Kind, Result};
use crate::host::{self, Described};
use cargo::Said;
use sdk::handshake::Claim;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What packs are compiled against.
#[derive(Clone, Debug)]
pub struct Kit {
    /// The folder of `para`.
    home: PathBuf,
    /// The folder of the shared libraries.
    libraries: PathBuf,
    /// The folder of the metadata of all crates inside them.
    metadata: PathBuf,
}

/// A pack that was compiled.
#[derive(Debug)]
pub struct Built {
    /// What the file says about itself.
    pub described: Described,
    /// The file.
    pub file: PathBuf,
}

/// The file name of a shared library.
fn library(krate: &str) -> String {
    format!("{DLL_PREFIX}{krate}{DLL_SUFFIX}")
}

impl Kit {
    /// The kit that belongs to the `para` in the folder `home`.
    ///
    /// # Errors
    /// When nothing that packs could be compiled against lies there.
    pub fn beside(home: &Path) -> Result<Self> {
        let places = [
            (home.join("deps"), home.join("deps")),
            (home.to_owned(), home.join("sdk")),
        ];
        let whole = |(libraries, metadata): &(PathBuf, PathBuf)| {
            metadata.is_dir()
                && ["sdk", "diffusion"]
                    .iter()
                    .all(|name| libraries.join(library(name)).is_file())
        };
        match places.into_iter().find(whole) {
            Some((libraries, metadata)) => Ok(Self {
                home: home.to_owned(),
                libraries,
                metadata,
            }),
            None => Err(Failure::system(format!(
                "there is nothing to compile packs against beside {}",
                home.join("para").display()
            ))
            .help(
                "unpack the SDK archive of this release (para-sdk-…) there, so that a folder `sdk` lies beside para",
            )),
        }
    }

    /// What rustc is told, beside what cargo tells it.
    fn flags(&self) -> Result<Vec<String>> {
        let text = |path: PathBuf| {
            let text = path.to_str().map(str::to_owned);
            text.ok_or_else(|| Failure::system(format!("the folder {} is not named in UTF-8", path.display())))
        };
        let mut flags = vec!["-Cprefer-dynamic".to_owned()];
        for name in ["sdk", "diffusion"] {
            flags.push(format!("--extern={name}={}", text(self.libraries.join(library(name)))?));
        }
        flags.push(format!("-Ldependency={}", text(self.metadata.clone())?));
        if self.metadata != self.libraries {
            flags.push(format!("-Ldependency={}", text(self.libraries.clone())?));
        }
        // Cargo does not look into what `--extern` names here: another build of it has to show in the flags.
        let diffusion = host::shared_build(&self.home).unwrap_or_default();
        flags.push(format!("--cfg=para_build=\"{}.{diffusion}\"", sdk::build_id()));
        Ok(flags)
    }

    /// `cargo VERB …` in `folder`, for a crate outside of the workspace.
    fn cargo(&self, folder: &Path, verb: &[&str]) -> Result<Command> {
        let flags = self.flags()?;
        let mut command = Command::new(cargo::program());
        command.args(verb).current_dir(folder);
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        command.env("CARGO_ENCODED_RUSTDOCFLAGS", flags.join("\x1f"));
        for name in [
            "RUSTFLAGS",
            "RUSTDOCFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_BUILD_RUSTC_WRAPPER",
        ] {
            command.env_remove(name);
        }
        // Whatever the pack's own profile says: shared Rust libraries allow neither.
        command
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_PANIC", "unwind");
        if let Some(toolchain) = toolchain(folder)? {
            command.env("RUSTUP_TOOLCHAIN", toolchain);
        }
        Ok(command)
    }

    /// Checks the manifest of the pack in `folder`, compiles it, and inspects the file as the engine does before
    /// loading it. `said` hears what cargo and the compiler say.
    ///
    /// # Errors
    /// What is wrong with the manifest, what does not compile, and a file that the engine would refuse.
    pub fn build(&self, folder: &Path, said: &mut dyn FnMut(Said)) -> Result<Built> {
        let package = self.check(folder)?;
        let mut command = self.cargo(folder, &["build", "--release", "--lib", "--package", &package])?;
        let compiled = cargo::build(&mut command, said)?;
        let file = compiled.into_iter().find(|library| library.package == package);
        let file = file
            .map(|library| library.file)
            .ok_or_else(|| Failure::new(Kind::Bug, format!("cargo built {package} and names no library of it")))?;
        let described = host::describe(&file, &self.home)
            .map_err(|refusal| Failure::user(refusal.to_string()).help(refusal.help))?;
        Ok(Built { described, file })
    }

    /// Checks the manifest of the pack in `folder`; gives the package's name.
    fn check(&self, folder: &Path) -> Result<String> {
        let mut command = self.cargo(folder, &["metadata", "--format-version", "1"])?;
        lint::check(&cargo::output(&mut command)?, folder)
    }

    /// Runs the tests of the pack in `folder`, with more arguments for `cargo test`.
    ///
    /// # Errors
    /// What is wrong with the manifest; a test that fails.
    pub fn test(&self, folder: &Path, arguments: &[String]) -> Result<()> {
        let package = self.check(folder)?;
        let mut command = self.cargo(folder, &["test", "--release", "--package", &package])?;
        command.args(arguments);
        // Test programs find the shared libraries by the loader's path, as they do under cargo in the workspace.
        let variable = if cfg!(target_os = "macos") {
            "DYLD_FALLBACK_LIBRARY_PATH"
        } else {
            "LD_LIBRARY_PATH"
        };
        let mut path = OsString::from(&self.home);
        if let Some(before) = std::env::var_os(variable).filter(|before| !before.is_empty()) {
            path.push(":");
            path.push(before);
        }
        command.env(variable, path);
        let status = command.status().map_err(|e| cargo::missing(&e))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::user(format!("the tests of {} failed", folder.display())))
    }
}

/// The toolchain to ask rustup for, where the one that would be used in `folder` is not the one this `para` was built by.
fn toolchain(folder: &Path) -> Result<Option<String>> {
    let needed = Claim::ours().rustc;
    let version = |toolchain: Option<&str>| {
        let mut command = Command::new("rustc");
        command.arg("-vV").current_dir(folder);
        if let Some(toolchain) = toolchain {
            command.env("RUSTUP_TOOLCHAIN", toolchain);
        }
        let output = command.output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.lines().next().unwrap_or_default().to_owned())
    };
    let here = version(None);
    if here.as_ref() == Some(&needed) {
        return Ok(None);
    }
    let number = needed.split_whitespace().nth(1).unwrap_or("stable");
    if version(Some(number)).as_ref() == Some(&needed) {
        return Ok(Some(number.to_owned()));
    }
    let found = here
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "no Rust compiler".to_owned());
    Err(
        Failure::system(format!("packs for this para are compiled by {needed}; here is {found}"))
            .help(format!("rustup toolchain install {number} (https://rustup.rs)")),
    )
}
