//! Puts the toolchain's library folder on the run path of `para` and `para-tui`, so that what is built starts without cargo.
//! (A release archive carries libstd beside it, and the run path of `.cargo/config.toml` finds it there.)
#![allow(clippy::print_stdout, reason = "cargo reads a build script's standard output")]

use std::process::Command;
use std::{env, io};

fn main() -> io::Result<()> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let libdir = Command::new(rustc).args(["--print", "target-libdir"]).output()?.stdout;
    let libdir = String::from_utf8_lossy(&libdir);
    println!("cargo::rustc-link-arg-bins=-Wl,-rpath,{}", libdir.trim());
    println!("cargo::rerun-if-env-changed=RUSTC");
    Ok(())
}
