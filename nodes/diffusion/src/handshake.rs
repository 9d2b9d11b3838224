//! Lets the engine tell, from files alone, whether a plugin was compiled against this very library.
#![allow(unsafe_code, reason = "a section of its own, read from the file")]

use sdk::handshake::Handshake;

/// What identifies this build: compiler, flags, features, and the sources of this library and of `sdk`.
pub const BUILD_ID: &str = env!("PARA_BUILD_ID");

/// The engine compares this with what a plugin says.
// SAFETY: the section holds plain bytes and the symbol is ours alone; nothing runs.
#[used]
#[unsafe(no_mangle)]
#[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".para_shared"))]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__para_shared"))]
pub static PARA_SHARED: Handshake = Handshake::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), BUILD_ID);

/// Makes a crate that uses this library a plugin: `diffusion::plugin![Load, Save];`.
#[macro_export]
macro_rules! plugin {
    ($($node:ty),+ $(,)?) => {
        ::sdk::plugin!(shared ::diffusion::handshake::BUILD_ID; $($node),+);
    };
}
