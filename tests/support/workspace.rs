//! A user's folder: graphs with the shipped assets, a store of its own, and `para` to run in it.

use super::project;
use protocol::{Event, Summary};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use tempfile::TempDir;

/// The folder of `para`, the shared libraries and the node crates: two above this test's own file.
pub(crate) fn target() -> &'static Path {
    static TARGET: LazyLock<PathBuf> = LazyLock::new(|| {
        let this = std::env::current_exe().unwrap();
        let folder = this.ancestors().nth(2).unwrap().to_owned();
        assert!(
            folder.join("para").is_file(),
            "no para in {}: build it first, cargo build --release --workspace",
            folder.display()
        );
        folder
    });
    &TARGET
}

/// A temporary folder with `graphs/` (where commands run; `graphs/assets` are the shipped ones) and `store/`.
pub(crate) struct Workspace {
    _folder: TempDir,
    root: PathBuf,
    para: PathBuf,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        Self::with_para(&target().join("para"))
    }

    /// Runs another `para` than the one in the target folder.
    pub(crate) fn with_para(para: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("graphs")).unwrap();
        std::os::unix::fs::symlink(project::root().join("graphs/assets"), root.join("graphs/assets")).unwrap();
        Self {
            _folder: folder,
            root,
            para: para.to_owned(),
        }
    }

    /// A path in the temporary folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The path behind one that a command printed.
    pub(crate) fn shown(&self, path: &str) -> PathBuf {
        PathBuf::from(path.replace("[ROOT]", &self.root.to_string_lossy()))
    }

    /// Writes a file in `graphs/`.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.root.join("graphs").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        file
    }

    /// Copies a shipped graph to `graphs/`.
    pub(crate) fn take(&self, graph: &str) {
        let text = std::fs::read(project::root().join("graphs").join(graph)).unwrap();
        self.write(graph, text);
    }

    /// Writes a graph with these nodes (JSON, without the outer braces).
    pub(crate) fn graph(&self, name: &str, nodes: &str) {
        self.write(name, format!("{{ \"paragraph\": 1, \"nodes\": {{\n{nodes}\n}} }}\n"));
    }

    /// `para` with these arguments, in `graphs/`, with nothing of the surrounding environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.para);
        self.prepare(&mut command);
        command.args(args);
        command
    }

    /// `para` with these arguments, able to compile: with the surrounding Rust and git, but nothing of a network.
    pub(crate) fn compiling(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.envs(rust());
        command
    }

    /// A shell script in `graphs/`; the script finds `para` as `$PARA`.
    pub(crate) fn shell(&self, script: &str) -> Ran {
        let mut command = Command::new("/bin/sh");
        self.prepare(&mut command);
        command.env("PARA", &self.para).args(["-c", script]);
        self.ran(command.output().unwrap())
    }

    fn prepare(&self, command: &mut Command) {
        command
            .env_clear()
            .env("HOME", self.root.join("home"))
            .env("PARA_STORE", self.root.join("store"))
            .current_dir(self.root.join("graphs"))
            .stdin(Stdio::null());
    }

    /// Runs `para` to its end.
    pub(crate) fn para(&self, args: &[&str]) -> Ran {
        self.ran(self.command(args).output().unwrap())
    }

    /// `para run GRAPH --events json` and more arguments.
    pub(crate) fn run(&self, graph: &str, more: &[&str]) -> Ran {
        let args = [&["run", graph, "--events", "json"], more].concat();
        self.para(&args)
    }

    pub(crate) fn ran(&self, output: Output) -> Ran {
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(&*self.root.to_string_lossy(), "[ROOT]")
        };
        Ran {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// All files in the temporary folder but the shipped assets and what is kept about file contents.
    pub(crate) fn files(&self) -> Vec<String> {
        let names = project::files_below(&self.root)
            .into_iter()
            .map(|file| file.strip_prefix(&self.root).unwrap().to_string_lossy().into_owned());
        names
            .filter(|name| name != "graphs/assets" && name != "store/files.json")
            .collect()
    }

    /// A file of `graphs/out/`.
    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.root.join("graphs/out").join(name)
    }
}

/// What a command left. Paths of the temporary folder are shown as `[ROOT]`.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Expects this exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The lines of `--events json`.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Event> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}\n{self:#?}")))
            .collect()
    }

    fn nodes(&self, pick: impl Fn(Event) -> Option<String>) -> Vec<String> {
        let mut nodes: Vec<String> = self.events().into_iter().filter_map(pick).collect();
        nodes.sort();
        nodes
    }

    /// Nodes that executed, by name.
    pub(crate) fn started(&self) -> Vec<String> {
        self.nodes(|event| match event {
            Event::Started { node, .. } => Some(node),
            _ => None,
        })
    }

    /// Models that were made ready in memory.
    pub(crate) fn loaded(&self) -> Vec<String> {
        self.nodes(|event| match event {
            Event::Loaded { node, .. } => Some(node),
            _ => None,
        })
    }

    /// Files of the nodes that wrote some, now or earlier.
    pub(crate) fn written(&self) -> Vec<(String, Vec<String>)> {
        let files = self.events().into_iter().filter_map(|event| match event {
            Event::Done { node, files, .. } | Event::Cached { node, files, .. } => Some((node, files)),
            _ => None,
        });
        files.filter(|(_, files)| !files.is_empty()).collect()
    }

    /// The last event.
    pub(crate) fn summary(&self) -> Summary {
        match self.events().pop() {
            Some(Event::RunFinished { summary }) => summary,
            other => panic!("the last event is {other:?}"),
        }
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }
}

/// Compares with a snapshot file in a folder beside the test.
pub(crate) fn snapshot(folder: &str, name: &str, text: &str) {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Where the surrounding Rust is; nothing of a network.
pub(crate) fn rust() -> Vec<(&'static str, String)> {
    let of = |name: &str| std::env::var(name);
    let home = PathBuf::from(of("HOME").unwrap_or_default());
    let folder = |name, folder| {
        (
            name,
            of(name).unwrap_or_else(|_| home.join(folder).to_string_lossy().into_owned()),
        )
    };
    vec![
        ("PATH", of("PATH").unwrap_or_default()),
        ("CARGO", env!("CARGO").to_owned()),
        ("CARGO_NET_OFFLINE", "true".to_owned()),
        folder("CARGO_HOME", ".cargo"),
        folder("RUSTUP_HOME", ".rustup"),
    ]
}
