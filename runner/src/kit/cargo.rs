//! Runs cargo and reads what it says, message by message.
//!
//! Only the fields that are used are read, here and not with the crate `cargo_metadata`: it turns on a feature of
//! `serde_json`, which is part of the shared libraries, and would give every node crate another build.

use crate::failure::{Failure, Result};
use serde::Deserialize;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What is heard of a build while it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A line of cargo's own (`Compiling …`).
    Line(String),
    /// A message of the compiler.
    Message(Message),
}

/// An error or a warning of the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whether the build fails for it.
    pub is_error: bool,
    /// The package that is compiled.
    pub package: String,
    /// The message in one line.
    pub text: String,
    /// The file it is about, as the compiler names it.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
    /// All of it, as the compiler shows it.
    pub rendered: String,
}

/// A library that a build made or found made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// Its package.
    pub package: String,
    /// The loadable file.
    pub file: PathBuf,
    /// Whether it was there already.
    pub fresh: bool,
}

/// The cargo to run.
pub fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Cargo could not be started.
pub(super) fn missing(error: &io::Error) -> Failure {
    Failure::system(format!("cannot run cargo: {error}"))
        .help("compiling node packs needs Rust (https://rustup.rs); running graphs does not")
}

#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Line {
    CompilerMessage {
        package_id: String,
        message: Diagnostic,
    },
    CompilerArtifact {
        package_id: String,
        target: Target,
        filenames: Vec<PathBuf>,
        fresh: bool,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    message: String,
    spans: Vec<Span>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: u32,
    column_start: u32,
    is_primary: bool,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

/// The package's name in an id such as `path+file:///a/nodes/text#node-text@0.1.0` or `path+file:///a/b#0.1.0`.
fn package_name(id: &str) -> String {
    let (source, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None if fragment.chars().next().is_some_and(|c| c.is_ascii_digit()) => {
            let source = source.split('?').next().unwrap_or(source);
            source.rsplit('/').next().unwrap_or(source).to_owned()
        }
        None => fragment.to_owned(),
    }
}

fn message(package_id: &str, diagnostic: Diagnostic) -> Option<Message> {
    let is_error = diagnostic.level.starts_with("error");
    if !is_error && diagnostic.level != "warning" {
        return None;
    }
    let place = diagnostic.spans.into_iter().find(|span| span.is_primary);
    let column = place.as_ref().map(|span| span.column_start);
    let (file, line) = place.map(|span| (span.file_name, span.line_start)).unzip();
    Some(Message {
        is_error,
        package: package_name(package_id),
        rendered: diagnostic.rendered.unwrap_or_else(|| diagnostic.message.clone()),
        text: diagnostic.message,
        file,
        line,
        column,
    })
}

/// Runs `cargo build …` to its end and gives the loadable libraries.
///
/// # Errors
/// When it fails: with the first error of the compiler and its place, or with cargo's own words.
pub fn build(command: &mut Command, said: &mut dyn FnMut(Said)) -> Result<Vec<Library>> {
    command.args(["--message-format", "json"]).stdin(Stdio::null());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| missing(&e))?;
    let (heard, lines) = crossbeam_channel::unbounded::<(bool, String)>();
    if let Some(stdout) = child.stdout.take() {
        listen(stdout, true, heard.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        listen(stderr, false, heard);
    }
    let mut libraries = Vec::new();
    let mut first = None;
    let mut words = Vec::new();
    for (is_json, line) in lines {
        if !is_json {
            words.push(line.clone());
            said(Said::Line(line));
            continue;
        }
        match serde_json::from_str(&line) {
            Ok(Line::CompilerMessage {
                package_id,
                message: diagnostic,
            }) => {
                let Some(message) = message(&package_id, diagnostic) else {
                    continue;
                };
                // The compiler ends a failed crate with a summary that is about no place.
                if message.is_error && first.is_none() && message.file.is_some() {
                    first = Some(message.clone());
                }
                said(Said::Message(message));
            }
            Ok(Line::CompilerArtifact {
                package_id,
                target,
                filenames,
                fresh,
            }) => {
                let loadable = target.crate_types.iter().any(|ty| ty == "cdylib");
                let suffix = std::env::consts::DLL_SUFFIX;
                let file = filenames
                    .into_iter()
                    .find(|file| file.to_string_lossy().ends_with(suffix));
                if let Some(file) = file.filter(|_| loadable) {
                    libraries.push(Library {
                        package: package_name(&package_id),
                        file,
                        fresh,
                    });
                }
            }
            // What a build script or a macro prints is nobody's business here.
            Ok(Line::Other) | Err(_) => {}
        }
    }
    let status = child.wait().map_err(|e| missing(&e))?;
    if status.success() {
        return Ok(libraries);
    }
    Err(match first {
        Some(Message {
            text,
            file: Some(file),
            line: Some(line),
            package,
            ..
        }) => Failure::user(format!("{package} does not compile: {file}:{line}: {text}")),
        _ => {
            let begin = words.iter().position(|line| line.starts_with("error")).unwrap_or(0);
            Failure::user(format!(
                "cargo build failed: {}",
                words[begin..].join("\n").trim_start_matches("error: ")
            ))
        }
    })
}

/// Runs cargo to its end and gives what it prints.
///
/// # Errors
/// When it fails, with its own words.
pub(super) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| missing(&e))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(Failure::user(words.trim().trim_start_matches("error: ")))
}

fn listen(from: impl io::Read + Send + 'static, is_json: bool, heard: crossbeam_channel::Sender<(bool, String)>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(io::Result::ok) {
            if heard.send((is_json, line)).is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_packages_come_from_their_ids() {
        for (id, name) in [
            ("path+file:///a/nodes/text#node-text@0.1.0", "node-text"),
            ("path+file:///a/my-nodes#0.1.0", "my-nodes"),
            (
                "registry+https://github.com/rust-lang/crates.io-index#serde@1.0.229",
                "serde",
            ),
            ("git+https://example.org/x/pack?branch=main#0.2.0", "pack"),
        ] {
            assert_eq!(package_name(id), name, "{id}");
        }
    }

    #[test]
    fn a_message_has_its_place() {
        let line = r#"{"reason":"compiler-message","package_id":"path+file:///a/my-nodes#0.1.0","target":{"crate_types":["cdylib"]},
            "message":{"level":"error","message":"mismatched types","spans":[
            {"file_name":"src/b.rs","line_start":3,"column_start":1,"is_primary":false},{"file_name":"src/a.rs","line_start":7,"column_start":9,"is_primary":true}],
            "rendered":"error[E0308]: mismatched types\n"}}"#;
        let Ok(Line::CompilerMessage {
            package_id,
            message: diagnostic,
        }) = serde_json::from_str(line)
        else {
            panic!("it is a message");
        };
        let message = message(&package_id, diagnostic).unwrap();
        assert_eq!((message.file.as_deref(), message.line), (Some("src/a.rs"), Some(7)));
        assert!(message.is_error && message.package == "my-nodes");
    }
}
