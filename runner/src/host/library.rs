//! Loads a plugin's code. Libraries are never unloaded: values, panics and threads may point into them.
#![allow(unsafe_code, reason = "loading foreign code is what this file is for")]

use super::Plugin;
use super::inspect::shared_library;
use crate::failure::{Failure, Kind, Result};
use crate::panic;
use crate::store::Store;
use libloading::Library;
use sdk::{NodeDef, Registrar, handshake};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;

/// What `plugin!` defines under [`handshake::REGISTER`].
type Register = extern "C-unwind" fn(&mut Registrar) -> i32;

/// Loads the bytes that were inspected: they are copied into the store under their build id, so that a later
/// build of the same crate cannot change the file below a running process.
pub(super) fn load(plugin: &Plugin, bytes: Vec<u8>, libraries: &Path, store: &Store) -> Result<Vec<NodeDef>> {
    let extension = plugin.file.extension().and_then(|e| e.to_str()).unwrap_or("so");
    let copy = store.keep_plugin(&plugin.build, extension, &bytes)?;
    preload(libraries)?;
    let refused = |e: libloading::Error| {
        // The loader's own words are the source of its error.
        let text = sdk::Error::from(e).message().to_owned();
        let reason = if text.contains("undefined symbol") {
            "it was built against other versions or features of the shared libraries".to_owned()
        } else {
            text
        };
        Failure::system(format!("plugin {} was not loaded: {reason}", plugin.file.display()))
            .help("build everything together: cargo build --release --workspace")
    };
    // SAFETY: the handshake says that the file was built by this compiler against these very shared libraries,
    // and its sections are complete; its initialisers are those of Rust's own runtime.
    let library = unsafe { Library::new(&copy) }.map_err(refused)?;
    let mut registrar = Registrar::default();
    {
        // SAFETY: `sdk::plugin!` defines the function with exactly this signature, and the handshake's `abi`
        // number changes whenever the signature does.
        let register = unsafe { library.get::<Register>(handshake::REGISTER.as_bytes()) };
        let registered = match register {
            Ok(register) => catch_unwind(AssertUnwindSafe(|| register(&mut registrar))),
            Err(error) => return Err(refused(error)),
        };
        let failed = match registered {
            Ok(0) => None,
            Ok(code) => Some(format!("code {code}")),
            Err(payload) => Some(format!("it panicked: {}", panic::describe(payload))),
        };
        if let Some(why) = failed {
            // What it left behind may point into its code.
            std::mem::forget((library, registrar));
            let message = format!("plugin {} failed to register its nodes: {why}", plugin.file.display());
            return Err(
                Failure::new(Kind::Node, message).help(format!("this is a bug in the node crate {}", plugin.name))
            );
        }
    }
    std::mem::forget(library);
    Ok(registrar.nodes)
}

/// Loads `diffusion` once, so that plugins find it wherever their copy lies.
fn preload(libraries: &Path) -> Result<()> {
    static DONE: Mutex<bool> = Mutex::new(false);
    let mut done = DONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = shared_library(libraries);
    if *done || !path.exists() {
        return Ok(());
    }
    // SAFETY: our own library from our own folder; plugins built against another one were refused by its build id.
    let library = unsafe { Library::new(&path) }.map_err(|e| {
        let e = sdk::Error::from(e);
        Failure::system(format!("cannot load {}: {e}", path.display()))
            .help("build everything together: cargo build --release --workspace")
    })?;
    std::mem::forget(library);
    *done = true;
    Ok(())
}
