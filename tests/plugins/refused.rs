//! Files that are no plugins of this build: each is refused with its own sentence, before any of its code runs.

use crate::support::damage;
use crate::support::installation::Installation;
use crate::support::plugin::{self, Field, claiming};
use crate::support::workspace::{Workspace, target};
use object::{Object, ObjectSection};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::sample::Index;
use runner::host::{Places, Registry};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the engine says of a file that the user names, if it refuses it.
fn refusal(file: &Path) -> Option<String> {
    // Nothing lies beside, so that only this file can be at fault.
    let home = file.parent().unwrap().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let shared = home.join("libdiffusion.so");
    if !shared.exists() {
        std::os::unix::fs::symlink(target().join("libdiffusion.so"), shared).unwrap();
    }
    let places = Places {
        home,
        installed: None,
        named: vec![file.to_owned()],
    };
    Registry::discover(&places).err().map(|failure| {
        assert_eq!(failure.kind.exit_code(), 4, "{failure}");
        assert!(failure.help.is_some(), "{failure} has no help");
        failure.message
    })
}

fn cases() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = plugin::bytes("load");
    let half = good.len() / 2;
    let blank = [&good[..half], &vec![0; good.len() - half]].concat();
    let claim = |field, value: &[u8]| claiming(good.clone(), field, value);
    vec![
        (
            "cut",
            good[..good.len() * 6 / 10].to_vec(),
            "damaged or truncated library",
        ),
        ("head", good[..100].to_vec(), "damaged or truncated library (100 bytes"),
        (
            "blank",
            blank,
            "it is a library but no Paragraph plugin (it has no handshake)",
        ),
        ("empty", Vec::new(), "it is not a shared library"),
        ("text", b"not a library at all\n".to_vec(), "it is not a shared library"),
        (
            "sdk",
            std::fs::read(target().join("libsdk.so")).unwrap(),
            "no Paragraph plugin (it has no handshake)",
        ),
        ("magic", claim(Field::Magic, b"PARAPLUS"), "its handshake is unreadable"),
        (
            "abi",
            claim(Field::Abi, &9u32.to_le_bytes()),
            "built for plugin interface 9, this para has ",
        ),
        (
            "target",
            claim(Field::Target, b"riscv64gc-unknown-linux-gnu"),
            "built for riscv64gc-unknown-linux-gnu, this para runs on ",
        ),
        (
            "rustc",
            claim(Field::Rustc, b"rustc 1.96.0-nightly (abcdef012 2026-02-01)"),
            "built by rustc 1.96.0-nightly (abcdef012 2026-02-01), this para by rustc 1.",
        ),
        (
            "sdk_build",
            claim(Field::Sdk, b"0123456789abcdef0123456789abcdef"),
            "built against sdk 0123456789ab, this para has sdk ",
        ),
        (
            "diffusion_build",
            claim(Field::Diffusion, b"0123456789abcdef0123456789abcdef"),
            "built against diffusion 0123456789ab, this para has diffusion ",
        ),
    ]
}

#[test]
fn each_stranger_is_refused_with_its_own_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let mut said = BTreeMap::new();
    for (name, bytes, words) in cases() {
        let file = folder.path().join(format!("lib{name}.so"));
        std::fs::write(&file, bytes).unwrap();
        let message = refusal(&file).unwrap_or_else(|| panic!("{name} was accepted"));
        assert!(message.contains(words), "{name}: {words:?} is not in {message:?}");
        assert!(
            message.contains(&*file.to_string_lossy()),
            "{message} does not name the file"
        );
        said.insert(name, message);
    }
    let good = folder.path().join("libgood.so");
    std::fs::copy(plugin::file("load"), &good).unwrap();
    assert_eq!(refusal(&good), None, "the file that all of these were made from");
}

#[test]
fn the_command_refuses_them_too_and_writes_nothing() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    for (name, bytes, words) in cases() {
        let file = workspace.path(&format!("lib{name}.so"));
        std::fs::write(&file, bytes).unwrap();
        let before = workspace.files();
        let ran = workspace
            .para(&["run", "hello.json", "--plugins", file.to_str().unwrap()])
            .exits(4);
        assert!(ran.stderr.contains(words), "{name}: {words:?} is not in {}", ran.stderr);
        assert!(ran.stderr.contains("\nhelp: "), "{}", ran.stderr);
        assert_eq!(workspace.files(), before, "{name}");
        assert_eq!(ran.stdout, "", "{name}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libcut.so");
    for name in ["load", "text", "table"] {
        let whole = plugin::bytes(name);
        let steps = (0..whole.len()).step_by(4096);
        for length in steps.chain([whole.len() - 1, whole.len() - 64]) {
            std::fs::write(&file, &whole[..length]).unwrap();
            assert!(
                refusal(&file).is_some(),
                "{name} cut to {length} of {} bytes",
                whole.len()
            );
        }
    }
}

/// Copying programs leave holes of zeros where they were killed.
#[test]
fn a_file_with_a_half_of_zeros_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libblank.so");
    for plugin in plugin::all() {
        let whole = std::fs::read(&plugin).unwrap();
        let half = whole.len() / 2;
        for blank in [0..half, half..whole.len()] {
            let mut bytes = whole.clone();
            bytes[blank.clone()].fill(0);
            std::fs::write(&file, bytes).unwrap();
            assert!(refusal(&file).is_some(), "{} with {blank:?} of zeros", plugin.display());
        }
    }
}

/// Whatever a file holds, looking at it harms nobody: its tables are damaged, which say where everything is.
#[test]
fn a_file_with_damaged_tables_is_looked_at_without_harm() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libdamaged.so");
    let whole = plugin::bytes("table");
    let object = object::File::parse(&*whole).unwrap();
    let tables = object.sections().filter(|section| {
        let name = section.name().unwrap_or_default();
        [
            ".para_plugin",
            ".para_nodes",
            ".dynsym",
            ".dynstr",
            ".dynamic",
            ".shstrtab",
        ]
        .contains(&name)
    });
    // The header of the file, the sections that are read, and the list of sections at the end.
    let mut places = vec![0..256, whole.len() - 4096..whole.len()];
    places.extend(tables.filter_map(|section| section.file_range()).map(|(offset, size)| {
        let offset = usize::try_from(offset).unwrap();
        offset..offset + usize::try_from(size).unwrap().min(4096)
    }));
    assert!(places.len() >= 6, "{places:?}");
    let change = (any::<Index>(), any::<Index>(), any::<u8>());
    let home = target();
    damage::survives(1500, &vec(change, 1..6), move |changes| {
        let mut bytes = whole.clone();
        for (place, at, value) in changes {
            let place = place.get(&places).clone();
            bytes[place.start + at.index(place.len())] = *value;
        }
        std::fs::write(&file, bytes).unwrap();
        if let Err(refusal) = runner::host::describe(&file, home) {
            assert!(!refusal.reason.is_empty() && !refusal.help.is_empty(), "{refusal}");
        }
    });
}

#[test]
fn another_build_of_the_same_nodes_is_refused_and_a_copy_is_not() {
    let workspace = Workspace::new();
    let folder = workspace.path("more");
    std::fs::create_dir(&folder).unwrap();
    let copy = folder.join("libcopy.so");
    std::fs::copy(plugin::file("text"), &copy).unwrap();
    let plugins = ["nodes", "--plugins", folder.to_str().unwrap()];
    let listed = workspace.para(&plugins).exits(0).stdout;
    assert_eq!(
        listed,
        workspace.para(&["nodes"]).exits(0).stdout,
        "each type is there once"
    );

    // Bytes behind the end change the build and nothing else.
    let other = [plugin::bytes("text"), b"later".to_vec()].concat();
    std::fs::write(&copy, other).unwrap();
    let ran = workspace.para(&plugins).exits(4);
    assert!(
        ran.stderr.contains("two plugins define the node type text/encode: "),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("libnode_text.so and [ROOT]/more/libcopy.so"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("help: remove one of the two files"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_named_place_must_be_there() {
    let workspace = Workspace::new();
    let ran = workspace.para(&["nodes", "--plugins", "nowhere"]).exits(1);
    assert!(
        ran.stderr.contains("no plugin file or folder at nowhere"),
        "{}",
        ran.stderr
    );
    std::fs::create_dir(workspace.path("graphs/empty")).unwrap();
    workspace.para(&["nodes", "--plugins", "empty"]).exits(0);
    let by_environment = workspace
        .command(&["nodes"])
        .env("PARA_PLUGINS", "nowhere")
        .output()
        .unwrap();
    workspace.ran(by_environment).exits(1);
}

#[test]
fn damaged_crates_beside_para_are_told_and_the_others_work() {
    let installation = Installation::new();
    let beside = |name: &str| -> PathBuf { installation.path().join(format!("libnode_{name}.so")) };
    let cut = plugin::bytes("lora");
    std::fs::write(beside("lora"), &cut[..cut.len() * 6 / 10]).unwrap();
    std::fs::write(beside("table"), "no library").unwrap();
    let stranger = claiming(plugin::bytes("para"), Field::Rustc, b"rustc 1.80.0");
    std::fs::write(beside("para"), stranger).unwrap();

    let workspace = Workspace::with_para(&installation.para());
    workspace.graph(
        "g.json",
        r#""i": { "type": "load/images", "params": { "path": "assets/subjects/dog" } },
        "s": { "type": "image/save", "inputs": { "images": "i.images" }, "params": { "prefix": "dog" } }"#,
    );
    let ran = workspace.run("g.json", &[]).exits(0);
    assert_eq!(ran.stderr.matches("warning: plugin ").count(), 3, "{}", ran.stderr);
    for words in [
        "libnode_lora.so was not loaded: ",
        "libnode_table.so was not loaded: ",
        "libnode_para.so was not loaded: ",
    ] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    assert!(workspace.out("dog_00005.png").is_file());

    // A graph that needs one of them says which crate is missing, beside why.
    workspace.graph(
        "needs.json",
        r#""a": { "type": "para/apply", "inputs": { "model": "b.model", "adapters": [] } },
        "b": { "type": "load/model", "params": { "path": "assets/emoji-xl" } }"#,
    );
    let ran = workspace.run("needs.json", &[]).exits(2);
    assert!(
        ran.stderr.contains("para/apply") && ran.stderr.contains("rustc 1.80.0"),
        "{}",
        ran.stderr
    );
}
