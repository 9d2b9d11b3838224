//! One libstd, one libsdk, one libdiffusion, and one candle in the process, by the symbols of the files.

use crate::support::plugin;
use crate::support::workspace::target;
use object::{Object, ObjectSymbol, SymbolKind};
use std::path::Path;

/// Libraries that the system's loader brings in with this file.
fn needed(bytes: &[u8]) -> Vec<String> {
    use object::read::elf::{Dyn, ElfFile64, FileHeader, SectionHeader};
    let file = ElfFile64::<object::Endianness>::parse(bytes).unwrap();
    let endian = file.endian();
    let sections = file.elf_header().sections(endian, bytes).unwrap();
    let (entries, strings) = sections.dynamic(endian, bytes).unwrap().unwrap();
    let link = sections.section(strings).unwrap();
    let strings = link.strings(endian, bytes).unwrap().unwrap();
    entries
        .iter()
        .filter(|entry| entry.tag(endian) == object::elf::DT_NEEDED)
        .map(|entry| String::from_utf8(entry.string(endian, strings).unwrap().to_vec()).unwrap())
        .collect()
}

/// A symbol that a file defines itself.
struct Defined {
    name: String,
    exported: bool,
    is_data: bool,
}

fn defined(bytes: &[u8]) -> Vec<Defined> {
    let file = object::File::parse(bytes).unwrap();
    let own = |exported| {
        move |symbol: object::Symbol<'_, '_>| {
            (!symbol.is_undefined()).then(|| Defined {
                name: String::from_utf8_lossy(symbol.name_bytes().unwrap()).into_owned(),
                exported,
                is_data: matches!(symbol.kind(), SymbolKind::Data | SymbolKind::Tls),
            })
        }
    };
    let dynamic = file.dynamic_symbols().filter_map(own(true));
    file.symbols().filter_map(own(false)).chain(dynamic).collect()
}

/// Candle's own functions and statics; what others implement for its traits is named after them.
const CANDLE: &str = "_ZN11candle_core";

/// Tensors are told apart by a number that this static counts: a second one gives two tensors the same number, and
/// gradients that are silently wrong.
const COUNTER: &str = "_ZN11candle_core6tensor8TensorId3new7COUNTER";

fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

#[test]
fn node_crates_share_the_libraries() {
    for file in plugin::all() {
        let needed = needed(&read(&file));
        let name = file.display();
        let has = |library: &str| needed.iter().any(|n| n.starts_with(library));
        assert!(has("libsdk.so"), "{name} needs {needed:?}");
        assert!(has("libstd-"), "{name} needs {needed:?}");
        // The handshake says whether a node crate was built on diffusion; the file must say the same.
        let others: Vec<_> = needed
            .iter()
            .filter(|n| n.starts_with("libnode_") || n.contains("runner"))
            .collect();
        assert!(others.is_empty(), "{name} needs {others:?}");
    }
    let on_diffusion = plugin::all()
        .iter()
        .filter(|file| needed(&read(file)).iter().any(|n| n == "libdiffusion.so"))
        .count();
    assert!(on_diffusion >= 7, "{on_diffusion}");
    let diffusion = needed(&read(&target().join("libdiffusion.so")));
    assert!(diffusion.iter().any(|n| n == "libsdk.so"), "{diffusion:?}");
    let para = needed(&read(&target().join("para")));
    assert!(
        para.iter().any(|n| n == "libsdk.so") && para.iter().any(|n| n.starts_with("libstd-")),
        "{para:?}"
    );
    assert!(
        !para.iter().any(|n| n == "libdiffusion.so"),
        "para starts without tensor code of ours: {para:?}"
    );
}

#[test]
fn there_is_one_candle() {
    let sdk = defined(&read(&target().join("libsdk.so")));
    let exported = |symbols: &[Defined]| {
        let own = symbols.iter().filter(|s| s.exported && s.name.starts_with(CANDLE));
        own.map(|s| s.name.clone()).collect::<Vec<_>>()
    };
    let data = |symbols: &[Defined]| {
        let own = symbols.iter().filter(|s| s.is_data && s.name.contains("candle_core"));
        own.map(|s| s.name.clone()).collect::<Vec<_>>()
    };
    // What is looked for is found where it should be: a compiler that names symbols otherwise fails here.
    assert!(exported(&sdk).len() > 300, "{}", exported(&sdk).len());
    assert!(data(&sdk).iter().any(|name| name.starts_with(COUNTER)));

    let others = ["para", "libdiffusion.so"].map(|name| target().join(name));
    for file in plugin::all().into_iter().chain(others) {
        let symbols = defined(&read(&file));
        assert!(symbols.len() > 10, "{} is stripped", file.display());
        // Generic functions are compiled where they are used, and stay private there; nothing else may be.
        assert_eq!(exported(&symbols), Vec::<String>::new(), "{}", file.display());
        assert_eq!(data(&symbols), Vec::<String>::new(), "{}", file.display());
    }
    for file in plugin::all() {
        let symbols = defined(&read(&file));
        let found = symbols.iter().find(|s| s.exported && s.name.contains("candle"));
        assert!(
            found.is_none(),
            "{} exports {}",
            file.display(),
            found.map_or("", |s| &s.name)
        );
    }
}
