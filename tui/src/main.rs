//! `para-tui`: the terminal editor. `para edit` starts it.

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use etcetera::BaseStrategy;
use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal};
use std::path::PathBuf;
use tui::app::{self, Options};
use tui::keymap::Keymap;
use tui::session::How;
use tui::state::Problem;
use tui::theme::{Depth, Palette, Theme, depth_of};

/// Draw a graph, run it, watch it.
#[derive(Parser)]
#[command(name = "para-tui", version)]
struct Cli {
    /// The graph to open; one that does not exist is begun
    graph: Option<PathBuf>,
    /// Run on another machine: a line for the shell that starts a worker, such as 'ssh host para worker'
    #[arg(long, value_name = "COMMAND")]
    worker: Option<String>,
    /// The program `para` whose worker runs graphs here [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    para: Option<PathBuf>,
    /// Hand this argument to the worker; may be repeated
    #[arg(long = "worker-argument", value_name = "ARGUMENT", allow_hyphen_values = true)]
    arguments: Vec<OsString>,
    /// How many colours to use
    #[arg(long, value_enum, default_value_t = Colours::Auto)]
    color: Colours,
    /// Which colours
    #[arg(long, value_enum, default_value_t = Scheme::Dark)]
    theme: Scheme,
    /// Which signs to draw with
    #[arg(long, value_enum, default_value_t = Signs::Auto)]
    glyphs: Signs,
    /// Leave the mouse to the terminal
    #[arg(long)]
    no_mouse: bool,
    /// Show pictures as coloured cells, whatever the terminal can do
    #[arg(long)]
    no_pictures: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Colours {
    Auto,
    Truecolor,
    #[value(name = "256")]
    Indexed,
    #[value(name = "16")]
    Sixteen,
    Mono,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scheme {
    Dark,
    Light,
}

#[derive(Clone, Copy, ValueEnum)]
enum Signs {
    Auto,
    Unicode,
    Ascii,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        bail!("the editor needs a terminal; `para run` runs a graph without one");
    }
    let var = |name: &str| std::env::var(name).ok();
    let remote = cli.worker.is_some();
    let worker = match cli.worker {
        Some(line) => How::Shell(line),
        None => {
            let para = match cli.para {
                Some(para) => para,
                None => {
                    let this = std::env::current_exe().context("this program does not know where it is")?;
                    this.with_file_name("para")
                }
            };
            let mut words = vec![para.into_os_string(), "worker".into()];
            words.extend(cli.arguments);
            How::Program(words)
        }
    };
    let depth = match cli.color {
        Colours::Auto => depth_of(var),
        Colours::Truecolor => Depth::True,
        Colours::Indexed => Depth::Indexed,
        Colours::Sixteen => Depth::Sixteen,
        Colours::Mono => Depth::Mono,
    };
    let palette = match cli.theme {
        Scheme::Dark => Palette::Dark,
        Scheme::Light => Palette::Light,
    };
    let glyphs = match cli.glyphs {
        Signs::Auto => tui::terminal::glyphs_of(var),
        Signs::Unicode => tui::glyph::Glyphs::Unicode,
        Signs::Ascii => tui::glyph::Glyphs::Ascii,
    };
    let (keymap, problems) = keys()?;
    app::run(Options {
        graph: cli.graph,
        worker,
        remote,
        mouse: !cli.no_mouse,
        theme: Theme { depth, palette },
        glyphs,
        pictures: !cli.no_pictures && depth != Depth::Mono,
        keymap,
        problems,
    })
    .context("the terminal")
}

/// The keys, with those of the user's own file; what is wrong with that file is no reason not to start.
fn keys() -> Result<(Keymap, Vec<Problem>)> {
    let keymap = Keymap::builtin()?;
    let Some(path) = etcetera::choose_base_strategy()
        .ok()
        .map(|base| base.config_dir().join("para/keymap.toml"))
    else {
        return Ok((keymap, Vec::new()));
    };
    let (keymap, wrong) = match std::fs::read_to_string(&path) {
        Ok(text) => keymap.with_own(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => (keymap, Vec::new()),
        Err(error) => (keymap, vec![format!("the keymap cannot be read: {error}")]),
    };
    let problems = wrong.into_iter().map(|message| Problem::of_setup(&path, message));
    Ok((keymap, problems.collect()))
}
