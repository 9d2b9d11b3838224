//! Node crates that are replaced while `para` runs.

use crate::support::workspace::{Workspace, target};
use protocol::Event;
use runner::host::{Places, Registry};
use runner::reload::Reloader;
use runner::store::Store;
use sdk::{Context, Inputs, Value};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Compiles a pack of one source; gives its library.
fn pack(workspace: &Workspace, name: &str, source: &str) -> PathBuf {
    workspace.para(&["plugin", "new", name]).exits(0);
    workspace.write(&format!("{name}/src/lib.rs"), source);
    let built = workspace.compiling(&["plugin", "build", name]).output().unwrap();
    let built = workspace.ran(built).exits(0).stdout;
    workspace.shown(built.trim())
}

fn probe(workspace: &Workspace) -> Vec<u8> {
    fs::read(pack(
        workspace,
        "aprobe-pack",
        include_str!("../fixtures/packs/probe.txt"),
    ))
    .unwrap()
}

/// Another text of the same length, wherever the first stands.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|&at| bytes[at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "{from} is not in the file");
    for at in places {
        bytes[at..][..to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

/// A plugin file appears whole, as linkers and copying programs make it.
fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let draft = folder.join(".draft");
    fs::write(&draft, bytes).unwrap();
    fs::rename(draft, folder.join(name)).unwrap();
}

fn execute(registry: &Registry, store: &Store, ty: &str, inputs: &Inputs) -> Value {
    let ty = registry.catalog().get(ty).unwrap();
    let code = registry.load(&registry.implementation(ty).unwrap(), store).unwrap();
    code.make()
        .run(&Context::detached(), inputs, &sdk::Params::new())
        .unwrap()
        .remove(0)
}

/// Memory that is mapped from files below a folder, in bytes.
fn mapped(folder: &Path) -> u64 {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut ours, mut kilobytes) = (false, 0);
    for line in maps.lines() {
        if line.split_whitespace().next().is_some_and(|word| word.contains('-')) {
            ours = line.contains(folder.to_str().unwrap());
        } else if let Some(size) = line.strip_prefix("Rss:").filter(|_| ours) {
            kilobytes += size.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        }
    }
    kilobytes * 1024
}

#[test]
fn two_plugins_are_reloaded_two_hundred_times_with_live_values_of_every_generation() {
    let workspace = Workspace::new();
    let probe = probe(&workspace);
    let folder = workspace.path("live");
    fs::create_dir(&folder).unwrap();
    let generation = |family: &str, n: usize| {
        let bytes = replaced(&probe, "aprobe", &format!("{family}probe"));
        replaced(&bytes, "generation 0000", &format!("generation {n:04}"))
    };
    let both = |n: usize| {
        put(&folder, "liba.so", &generation("a", n));
        put(&folder, "libb.so", &generation("b", n));
    };
    both(0);
    let places = Places {
        home: target().to_owned(),
        installed: Some(folder.clone()),
        named: Vec::new(),
    };
    let store = Store::open(workspace.path("store")).unwrap();
    let reloader = Reloader::new(
        places.clone(),
        Arc::new(Registry::discover(&places).unwrap()),
        store.clone(),
    );
    let mut held = Vec::new();
    let mut hold = |registry: Arc<Registry>, n: usize| {
        for family in ["a", "b"] {
            let value = execute(&registry, &store, &format!("{family}probe/make"), &Inputs::default());
            held.push((registry.clone(), family, n, value));
        }
    };
    hold(reloader.registry(), 0);
    for n in 1..=200 {
        both(n);
        let reloaded = reloader.look().unwrap();
        assert!(reloaded.refused.is_empty(), "{:?}", reloaded.refused);
        assert_eq!(reloaded.changed.len(), 8, "{:?}", reloaded.changed);
        hold(reloader.registry(), n);
    }
    let resident = mapped(&workspace.path("store/plugins"));
    assert!(resident > 400 * 4096, "the search finds them: {resident}");
    assert!(resident / 402 < 200_000, "{} bytes each", resident / 402);
    let live = reloader.plugins();
    let old: Vec<usize> = live
        .iter()
        .filter(|plugin| plugin.name.ends_with("probe-pack"))
        .map(|plugin| plugin.resident)
        .collect();
    assert_eq!(old, [200, 200]);
    for (registry, family, n, value) in &held {
        let mut inputs = Inputs::default();
        inputs.push("held", vec![value.clone()]);
        let text = execute(registry, &store, &format!("{family}probe/read"), &inputs);
        assert_eq!(text.get::<String>().unwrap(), &format!("generation {n:04}"));
    }

    // All or nothing: a file that is cut keeps the other new one away too.
    let before = reloader.registry();
    put(&folder, "liba.so", &generation("a", 201));
    put(&folder, "libb.so", &generation("b", 201)[..20_000]);
    let reloaded = reloader.look().unwrap();
    assert!(
        reloaded.changed.is_empty() && reloaded.refused.len() == 1,
        "{reloaded:?}"
    );
    assert!(
        reloaded.refused[0].reason.contains("truncated"),
        "{:?}",
        reloaded.refused
    );
    assert!(Arc::ptr_eq(&before, &reloader.registry()));
    put(&folder, "libb.so", &generation("b", 201));
    assert_eq!(reloader.look().unwrap().changed.len(), 8);
    fs::remove_file(folder.join("libb.so")).unwrap();
    assert_eq!(
        reloader.look().unwrap().changed.len(),
        4,
        "a file that is gone takes its nodes with it"
    );
    assert!(reloader.registry().catalog().get("bprobe/make").is_none());
}

#[test]
fn a_plugin_that_panics_or_passes_on_what_is_its_own_is_that_nodes_error() {
    let workspace = Workspace::new();
    let bytes = probe(&workspace);
    let register = pack(&workspace, "register", include_str!("../fixtures/packs/register.txt"));
    let folder = workspace.path("more");
    fs::create_dir(&folder).unwrap();
    put(&folder, "liba.so", &bytes);
    put(&folder, "libb.so", &replaced(&bytes, "aprobe", "bprobe"));
    put(&folder, "libregister.so", &fs::read(register).unwrap());
    workspace.graph(
        "g.json",
        r#""run": { "type": "aprobe/panics", "params": { "text": "x" } },
        "made": { "type": "aprobe/unmade" },
        "registered": { "type": "register/never" },
        "value": { "type": "aprobe/make" },
        "own": { "type": "aprobe/read", "inputs": { "held": "value.out" } },
        "foreign": { "type": "bprobe/read", "inputs": { "held": "value.out" } }"#,
    );
    let ran = workspace
        .run("g.json", &["--plugins", folder.to_str().unwrap()])
        .exits(3);
    let mut failed: Vec<(String, String)> = ran
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Failed { node, message, .. } => Some((node, message)),
            _ => None,
        })
        .collect();
    failed.sort();
    let expected = [
        (
            "foreign",
            "is private to the node crate aprobe-pack and cannot be read by bprobe-pack",
        ),
        ("made", "cannot be made"),
        (
            "registered",
            "failed to register its nodes: it panicked: cannot register",
        ),
        ("run", "panicked on purpose: x"),
    ];
    assert_eq!(failed.len(), expected.len(), "{failed:#?}");
    for ((node, message), (name, words)) in failed.iter().zip(expected) {
        assert!(
            node == name && message.contains(words),
            "{name}: {words:?} is not in {failed:#?}"
        );
    }
    assert_eq!(ran.summary().executed, 2, "siblings go on");
}

/// A `para run --watch`, heard line by line.
struct Watched {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Watched {
    fn new(workspace: &Workspace, graph: &str) -> Self {
        let mut command = workspace.compiling(&["run", graph, "--watch", "--events", "json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        Self { child, lines }
    }

    /// Events up to one that is waited for.
    fn until(&self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(120));
            let line = line.unwrap_or_else(|e| panic!("{e} after {events:#?}"));
            events.push(serde_json::from_str(&line).unwrap());
            if wanted(&events[events.len() - 1]) {
                return events;
            }
        }
    }

    /// A run to its end: the nodes that executed.
    fn run(&self) -> Vec<String> {
        let events = self.until(|event| matches!(event, Event::RunFinished { .. }));
        let mut started: Vec<String> = events
            .into_iter()
            .filter_map(|event| match event {
                Event::Started { node, .. } => Some(node),
                _ => None,
            })
            .collect();
        started.sort();
        started
    }

    fn says(&self, words: &str) {
        self.until(|event| matches!(event, Event::Log { text, .. } if text.contains(words)));
    }
}

#[test]
fn a_watched_run_follows_sources_graph_files_and_plugin_folder() {
    let workspace = Workspace::new();
    let compiled = |args: &[&str]| workspace.ran(workspace.compiling(args).output().unwrap()).exits(0);
    compiled(&["plugin", "new", "live"]);
    compiled(&["plugin", "add", "live"]);
    let nodes = |size: u32| {
        format!(
            r#""dogs": {{ "type": "load/images", "params": {{ "path": "dogs" }} }},
            "small": {{ "type": "image/resize", "inputs": {{ "images": "dogs.images" }}, "params": {{ "width": 16, "height": 16 }} }},
            "draw": {{ "type": "live/gradient", "params": {{ "size": {size} }} }},
            "save": {{ "type": "image/save", "inputs": {{ "images": ["draw.images", "small.images"] }} }}"#
        )
    };
    let dog = |n: u32| fs::read(workspace.path(&format!("graphs/assets/subjects/dog/{n}.png"))).unwrap();
    workspace.write("dogs/0.png", dog(0));
    workspace.graph("g.json", &nodes(8));
    let watched = Watched::new(&workspace, "g.json");
    assert_eq!(watched.run(), ["dogs", "draw", "save", "small"]);

    // A source: the steps of its plugin run again, and what lies below if that is another picture.
    let source = workspace.path("graphs/live/src/gradient.rs");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, text.replace("255 160 0", "0 160 255")).unwrap();
    watched.says("live after ");
    assert_eq!(watched.run(), ["draw", "save"]);
    let picture = fs::read(workspace.out("image_00003.png")).unwrap();

    // A mistake: the compiler's words and place, and the nodes before stay.
    fs::write(&source, text.replace("let [red, green, blue]", "let [red, green]")).unwrap();
    watched.says("--> src/gradient.rs:2");
    // A plugin file that is cut.
    let folder = workspace.path("home/.local/share/para/plugins");
    let whole = fs::read(folder.join("live/liblive.so")).unwrap();
    put(&folder, "libcut.so", &whole[..whole.len() / 2]);
    watched.says("libcut.so was not loaded: it is a damaged or truncated library");
    workspace.graph("g.json", &nodes(9));
    assert_eq!(watched.run(), ["draw", "save"], "the graph changed");
    assert_ne!(
        fs::read(workspace.out("image_00005.png")).unwrap(),
        picture,
        "drawn by the build before"
    );

    // A file that the graph reads.
    workspace.write("dogs/1.png", dog(1));
    assert_eq!(watched.run(), ["dogs", "save", "small"]);
    // A whole plugin that is dropped into the folder: its nodes are there at once.
    put(
        &folder,
        "libcut.so",
        &replaced(&whole, "live/gradient", "late/gradient"),
    );
    watched.says("late/gradient");
}
