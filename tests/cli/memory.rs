//! `--memory`: what the process occupies, measured, under budgets that are enough for one step, for two, and for none.

use crate::support::workspace::Workspace;
use protocol::{Event, Level};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// More than one of the trainings takes with the model, less than both.
const BUDGET: u64 = 430_000_000;

/// Two trainings with much in flight, which know nothing of each other.
fn two_trainings(workspace: &Workspace) {
    let train = |name: &str, seed: u64| {
        format!(
            r#""{name}": {{ "type": "para/train", "inputs": {{ "model": "base.model", "text": "base.text", "vae": "base.vae", "images": "dogs.images" }},
            "params": {{ "prompt": "a sks dog", "rank": 2, "steps": 4, "batch": 16, "seed": {seed}, "checkpoint": "none" }} }}"#
        )
    };
    let nodes = format!(
        r#""base": {{ "type": "load/model", "params": {{ "path": "assets/emoji-xl" }} }},
        "dogs": {{ "type": "load/images", "params": {{ "path": "assets/subjects/dog" }} }},
        {}, {}"#,
        train("one", 1),
        train("other", 2)
    );
    workspace.graph("g.json", &nodes);
}

/// The events of a run, and the most that its process occupied, in bytes.
fn measured(workspace: &Workspace, more: &[&str]) -> (Vec<Event>, u64) {
    let args = [&["run", "g.json", "--events", "json", "--fresh"], more].concat();
    let mut child = workspace
        .command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let mut events = Vec::new();
    // The last event comes while the process is there, and the system remembers its peak.
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        events.push(serde_json::from_str(&line.unwrap()).unwrap());
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) << 10);
    }
    assert!(child.wait().unwrap().success(), "{events:#?}");
    (events, peak)
}

fn waited(events: &[Event]) -> bool {
    let room = |event: &Event| matches!(event, Event::Waiting { why, .. } if why == "room in memory");
    events.iter().any(room)
}

fn warnings(events: &[Event]) -> Vec<&str> {
    let warning = |event| match event {
        &Event::Log {
            level: Level::Warning,
            ref text,
            ..
        } => Some(&**text),
        _ => None,
    };
    events.iter().filter_map(warning).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn two_large_steps_stay_under_a_budget_for_one() {
    let workspace = Workspace::new();
    two_trainings(&workspace);
    // What the program takes by itself: it loads no model here.
    let (_, program) = measured(&workspace, &["--target", "dogs"]);
    // On a busy machine the two may not be at their most at once, the first time.
    let mut without = 0;
    for _ in 0..4 {
        let (free, peak) = measured(&workspace, &[]);
        assert!(!waited(&free));
        without = peak.max(without);
        if without - program > BUDGET {
            break;
        }
    }
    assert!(
        without - program > BUDGET,
        "together they take only {} MB, so this shows nothing",
        (without - program) / 1_000_000
    );
    let (bound, within) = measured(&workspace, &["--memory", &BUDGET.to_string()]);
    assert!(waited(&bound), "{bound:#?}");
    assert_eq!(warnings(&bound), [""; 0]);
    assert!(
        within - program <= BUDGET,
        "{} MB, {} without a budget",
        (within - program) / 1_000_000,
        (without - program) / 1_000_000
    );
    // Less than either needs: it is said, and done all the same, one after the other.
    let (tight, least) = measured(&workspace, &["--memory", "100MB"]);
    let told = warnings(&tight);
    assert!(
        told.len() == 2
            && told
                .iter()
                .all(|text| text.contains("more than the budget of 100 MB (--memory)")),
        "{told:#?}"
    );
    assert!(least - program <= BUDGET);
}
