//! What a plugin file says about itself before any of its code runs.
//!
//! Rust has no stable ABI: a plugin works with exactly the shared libraries it was compiled against. Two
//! sections of the file say which, as plain bytes without relocations, so that the engine reads them from the
//! file and refuses a stranger with a sentence instead of a crash.

use crate::konst::field;

/// Marks the section as ours.
pub const MAGIC: [u8; 8] = *b"PARAPLUG";
/// Changes when [`Handshake`] or the registration function changes.
pub const ABI: u32 = 2;
/// Section of the [`Handshake`].
pub const PLUGIN_SECTION: &str = ".para_plugin";
/// Section of the node descriptors: a JSON list of `graph::catalog::NodeType`.
pub const NODES_SECTION: &str = ".para_nodes";
/// Section of the [`Handshake`] of a shared library that plugins build on (`diffusion`).
pub const SHARED_SECTION: &str = ".para_shared";
/// The function that registers the nodes.
pub const REGISTER: &str = "para_register";

/// The section's content: fixed fields, zero-padded, no pointers.
#[repr(C)]
pub struct Handshake {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`ABI`].
    pub abi: u32,
    /// Size of this struct.
    pub size: u32,
    /// First line of `rustc -vV`.
    pub rustc: [u8; 96],
    /// Target triple.
    pub target: [u8; 48],
    /// [`crate::BUILD_ID`] that the plugin was compiled against.
    pub sdk: [u8; 32],
    /// Build id of the shared library on top of sdk, or zeros.
    pub shared: [u8; 32],
    /// Package name.
    pub name: [u8; 64],
    /// Package version.
    pub version: [u8; 32],
}

/// Size of a [`Handshake`] in bytes.
pub const SIZE: usize = size_of::<Handshake>();

impl Handshake {
    /// The handshake of the crate being compiled.
    pub const fn new(name: &str, version: &str, shared: &str) -> Self {
        Self {
            magic: MAGIC,
            abi: ABI,
            size: SIZE as u32,
            rustc: field(env!("PARA_RUSTC")),
            target: field(env!("PARA_TARGET")),
            sdk: field(crate::BUILD_ID),
            shared: field(shared),
            name: field(name),
            version: field(version),
        }
    }
}

/// The same fields, read from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// [`Handshake::abi`].
    pub abi: u32,
    /// Compiler.
    pub rustc: String,
    /// Target triple.
    pub target: String,
    /// Build id of sdk.
    pub sdk: String,
    /// Build id of the shared library on top, or empty.
    pub shared: String,
    /// Package name.
    pub name: String,
    /// Package version.
    pub version: String,
}

impl Claim {
    /// What this very process expects of a plugin.
    pub fn ours() -> Self {
        let own = Handshake::new("", "", "");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
        Self {
            abi: ABI,
            rustc: text(&own.rustc),
            target: text(&own.target),
            sdk: text(&own.sdk),
            shared: String::new(),
            name: String::new(),
            version: String::new(),
        }
    }

    /// Reads a section's bytes; `None` when they are no handshake of this layout.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.get(..SIZE)?;
        let mut take = |n: usize| {
            let (head, tail) = rest.split_at_checked(n)?;
            rest = tail;
            Some(head)
        };
        if take(8)? != MAGIC {
            return None;
        }
        let abi = u32::from_le_bytes(take(4)?.try_into().ok()?);
        if u32::from_le_bytes(take(4)?.try_into().ok()?) as usize != SIZE {
            return None;
        }
        let mut text = |n| Some(String::from_utf8_lossy(take(n)?).trim_end_matches('\0').to_owned());
        Some(Self {
            abi,
            rustc: text(96)?,
            target: text(48)?,
            sdk: text(32)?,
            shared: text(32)?,
            name: text(64)?,
            version: text(32)?,
        })
    }
}

/// Makes the crate a plugin: `sdk::plugin![Hello, Shout];` (crates that use `diffusion` say `diffusion::plugin!`).
///
/// Emits the handshake, the node descriptors and the function that registers the nodes.
#[macro_export]
macro_rules! plugin {
    (shared $shared:expr; $($node:ty),+ $(,)?) => {
        #[doc(hidden)]
        #[used]
        #[unsafe(no_mangle)]
        #[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".para_plugin"))]
        #[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__para_plugin"))]
        pub static PARA_PLUGIN: $crate::handshake::Handshake =
            $crate::handshake::Handshake::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), $shared);

        #[doc(hidden)]
        const PARA_NODES_PARTS: &[&str] = $crate::plugin!(@parts $($node),+);
        #[doc(hidden)]
        #[used]
        #[unsafe(no_mangle)]
        #[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".para_nodes"))]
        #[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__para_nodes"))]
        pub static PARA_NODES: [u8; $crate::konst::len(PARA_NODES_PARTS)] = $crate::konst::join(PARA_NODES_PARTS);

        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C-unwind" fn para_register(registrar: &mut $crate::Registrar) -> i32 {
            registrar.nodes.extend([$($crate::NodeDef::of::<$node>()),+]);
            0
        }
    };
    (@parts $first:ty $(, $node:ty)*) => {
        &["[", <$first as $crate::NodeSpec>::JSON $(, ",", <$node as $crate::NodeSpec>::JSON)*, "]"]
    };
    ($($node:ty),+ $(,)?) => {
        $crate::plugin!(shared ""; $($node),+);
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_what_readers_of_files_expect() {
        assert_eq!(SIZE, 8 + 4 + 4 + 96 + 48 + 32 + 32 + 64 + 32);
        assert!(Claim::read(b"PARAPLUG").is_none(), "too short");
        assert!(Claim::read(&[0; SIZE]).is_none(), "no magic");
        let ours = Claim::ours();
        assert!(ours.rustc.starts_with("rustc ") && ours.sdk.len() == 32, "{ours:?}");
    }
}
