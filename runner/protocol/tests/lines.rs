//! Every message survives its way through a line, and `docs/protocol.md` shows messages as they are.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use protocol::*;
use serde_json::Value as Json;

#[test]
fn the_page_shows_messages_as_they_are() {
    let page = include_str!("../../../docs/protocol.md");
    let (mut asks, mut replies) = (Vec::new(), Vec::new());
    for line in page.lines().filter(|line| line.starts_with("{\"id\"")) {
        let json: Json = serde_json::from_str(line).unwrap();
        let again = match json.get("ask") {
            Some(ask) => {
                asks.push(ask.as_str().unwrap().to_owned());
                serde_json::to_value(Request::read(line).unwrap_or_else(|e| panic!("{e:?} in {line}")))
            }
            None => {
                let tag = json.get("event").or(json.get("reply"));
                replies.push(tag.unwrap().as_str().unwrap().to_owned());
                serde_json::to_value(serde_json::from_str::<Message>(line).unwrap_or_else(|e| panic!("{e} in {line}")))
            }
        };
        let again = again.unwrap();
        // What is left out has a default; what is there must come back.
        for (key, value) in json.as_object().unwrap() {
            assert!(same(value, &again[key]), "{key} of {line}\n{again}");
        }
    }
    let all_asks = [
        "hello",
        "catalogue",
        "check",
        "plan",
        "run",
        "cancel",
        "live",
        "list_folder",
        "read_file",
        "read_picture",
        "reload",
        "quit",
    ];
    let all_replies = [
        "hello",
        "catalogue",
        "checked",
        "planned",
        "accepted",
        "ran",
        "noted",
        "folder",
        "file",
        "picture",
        "building",
        "reloaded",
        "error",
        "reading",
        "run_started",
        "started",
        "progress",
        "metric",
        "preview",
        "waiting",
        "log",
        "done",
        "cached",
        "loaded",
        "failed",
        "skipped",
        "older",
        "run_finished",
    ];
    for (all, shown) in [(&all_asks[..], &asks), (&all_replies[..], &replies)] {
        for word in all {
            assert!(shown.iter().any(|s| s == word), "{word} is not on the page");
        }
        assert!(
            shown.iter().all(|s| all.contains(&s.as_str())),
            "{shown:?} has more than {all:?}"
        );
    }
}

/// `whole` has all that `part` has.
fn same(part: &Json, whole: &Json) -> bool {
    match (part, whole) {
        (Json::Object(part), Json::Object(whole)) => part
            .iter()
            .all(|(key, value)| same(value, whole.get(key).unwrap_or(&Json::Null))),
        (Json::Array(part), Json::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(a, b)| same(a, b))
        }
        _ => part == whole,
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,12}", Just("{\"a\":\"\\u0000\"}\n".to_owned())]
}

/// Numbers whose shortest text is exact.
fn number() -> impl Strategy<Value = f64> {
    any::<i32>().prop_map(|n| f64::from(n) / 8.0)
}

fn graph() -> impl Strategy<Value = Graph> {
    (text(), option::of(text()), vec(text(), 0..3)).prop_map(|(text, path, set)| Graph { text, path, set })
}

fn ask() -> impl Strategy<Value = Ask> {
    let live = prop_oneof![Just(Live::SampleNow), Just(Live::BackUpNow), Just(Live::StopAndKeep)];
    prop_oneof![
        any::<u32>().prop_map(|version| Ask::Hello { version }),
        Just(Ask::Catalogue),
        graph().prop_map(|graph| Ask::Check { graph }),
        (graph(), vec(text(), 0..3)).prop_map(|(graph, targets)| Ask::Plan { graph, targets }),
        (graph(), vec(text(), 0..3), any::<bool>(), any::<bool>()).prop_map(|(graph, targets, fresh, previews)| {
            Ask::Run(Run {
                graph,
                targets,
                fresh,
                previews,
            })
        }),
        (option::of(any::<u64>()), any::<bool>()).prop_map(|(run, now)| Ask::Cancel { run, now }),
        (option::of(any::<u64>()), option::of(text()), live).prop_map(|(run, node, command)| Ask::Live {
            run,
            node,
            command
        }),
        text().prop_map(|path| Ask::ListFolder { path }),
        (text(), option::of(any::<u64>())).prop_map(|(path, limit)| Ask::ReadFile { path, limit }),
        (text(), any::<u32>(), any::<u32>()).prop_map(|(path, width, height)| Ask::ReadPicture { path, width, height }),
        Just(Ask::Reload),
        Just(Ask::Quit),
    ]
}

fn summary() -> impl Strategy<Value = Summary> {
    (vec(any::<u32>(), 5), any::<bool>(), number()).prop_map(|(n, cancelled, seconds)| Summary {
        executed: n[0] as usize,
        cached: n[1] as usize,
        loaded: n[2] as usize,
        failed: n[3] as usize,
        skipped: n[4] as usize,
        cancelled,
        seconds,
    })
}

fn picture() -> impl Strategy<Value = Picture> {
    (any::<u32>(), any::<u32>(), vec(any::<u8>(), 0..40)).prop_map(|(width, height, png)| Picture {
        width,
        height,
        png: Bytes(png),
    })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<u32>().prop_map(|n| Event::RunStarted { nodes: n as usize }),
        (text(), text()).prop_map(|(node, ty)| Event::Started { node, ty }),
        (text(), any::<u64>(), any::<u64>(), text()).prop_map(|(node, done, total, note)| Event::Progress {
            node,
            done,
            total,
            note
        }),
        (text(), text(), any::<u64>(), option::of(number())).prop_map(|(node, name, step, value)| Event::Metric {
            node,
            name,
            step,
            value
        }),
        (text(), any::<u64>(), text(), picture()).prop_map(|(node, step, note, picture)| Event::Preview {
            node,
            step,
            note,
            picture
        }),
        (text(), text()).prop_map(|(node, why)| Event::Waiting { node, why }),
        (text(), text(), any::<[u64; 4]>()).prop_map(|(node, path, [files, of_files, bytes, of_bytes])| {
            Event::Reading {
                node,
                path,
                files,
                of_files,
                bytes,
                of_bytes,
            }
        }),
        (option::of(text()), text()).prop_map(|(node, text)| Event::Log {
            node,
            level: Level::Info,
            text
        }),
        (text(), number(), vec(text(), 0..3), text()).prop_map(|(node, seconds, files, key)| Event::Done {
            node,
            seconds,
            files,
            key
        }),
        (text(), vec(text(), 0..3), text(), any::<bool>()).prop_map(|(node, files, key, frozen)| Event::Cached {
            node,
            files,
            key,
            frozen
        }),
        text().prop_map(|node| Event::Older { node }),
        (text(), number()).prop_map(|(node, seconds)| Event::Loaded { node, seconds }),
        (text(), text(), text(), option::of(text())).prop_map(|(node, ty, message, help)| Event::Failed {
            node,
            ty,
            message,
            help
        }),
        (text(), option::of(text())).prop_map(|(node, because)| Event::Skipped { node, because }),
        summary().prop_map(|summary| Event::RunFinished { summary }),
    ]
}

fn diagnostics() -> impl Strategy<Value = Vec<Diagnostic>> {
    let broken = prop_oneof![
        Just("{"),
        Just("[1]"),
        Just("{\"paragraph\":9}"),
        Just("{\"paragraph\":1,\"nodes\":{\"ö\":{\"tipe\":3}}}")
    ];
    broken.prop_map(|text| graph::check(&graph::parse(text).0, &graph::Catalog::default()).unwrap_err())
}

fn node() -> impl Strategy<Value = NodeEntry> {
    let param = prop_oneof![
        Just(r#"{"name":"a","type":"integer","default":3,"min":0.0,"max":8.5}"#),
        Just(r#"{"name":"b","type":"choice","choices":["x","y"],"default":"x"}"#),
        Just(r#"{"name":"c","type":"path"}"#),
        Just(r#"{"name":"d","type":"strings","nullable":true,"default":null}"#),
        Just(r#"{"name":"e","type":"integer","default":18446744073709551615}"#),
    ];
    (text(), vec(param, 0..3), text()).prop_map(|(doc, params, plugin)| {
        let params: Vec<Json> = params.into_iter().map(|p| serde_json::from_str(p).unwrap()).collect();
        let ty = serde_json::json!({"name": "a/b", "version": 3, "kind": "lazy", "doc": doc, "params": params,
            "inputs": [{"name": "i", "type": "t", "variadic": true}], "outputs": [{"name": "o", "type": "t"}]});
        let ty = serde_json::from_value(ty).unwrap();
        NodeEntry { ty, plugin }
    })
}

fn plugin() -> impl Strategy<Value = Plugin> {
    (text(), text(), vec(text(), 0..3), any::<u16>()).prop_map(|(name, file, nodes, resident)| Plugin {
        name: name.clone(),
        version: "0.1".into(),
        file,
        build: name,
        nodes,
        resident: usize::from(resident),
    })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    (text(), text(), text()).prop_map(|(file, reason, help)| Refusal { file, reason, help })
}

fn build() -> impl Strategy<Value = Build> {
    let message =
        (text(), option::of(text()), option::of(any::<u32>())).prop_map(|(message, file, line)| BuildMessage {
            level: "error".into(),
            rendered: message.clone(),
            message,
            file,
            line,
            column: line,
        });
    (any::<bool>(), number(), vec(message, 0..3)).prop_map(|(ok, seconds, messages)| Build { ok, seconds, messages })
}

fn reply() -> impl Strategy<Value = Reply> {
    let state = prop_oneof![
        Just(Forecast::Hit),
        Just(Forecast::Miss),
        Just(Forecast::DependsOn),
        Just(Forecast::Load)
    ];
    let row = (text(), text(), state, text(), text()).prop_map(|(node, ty, state, detail, key)| PlanRow {
        node,
        ty,
        state,
        detail,
        key,
    });
    let entry = (
        text(),
        any::<u64>(),
        prop_oneof![Just(Entry::File), Just(Entry::Folder), Just(Entry::Other)],
    )
        .prop_map(|(name, size, kind)| FolderEntry {
            name,
            kind,
            size,
            modified: size,
        });
    let kind = prop_oneof![
        Just(Kind::Protocol),
        Just(Kind::User),
        Just(Kind::Graph),
        Just(Kind::Node),
        Just(Kind::System),
        Just(Kind::Bug),
        Just(Kind::Cancelled)
    ];
    prop_oneof![
        (text(), any::<u32>(), any::<u64>()).prop_map(|(text, n, memory)| Reply::Hello {
            version: n,
            para: text.clone(),
            pid: n,
            folder: text.clone(),
            store: text,
            cores: n as usize,
            memory,
        }),
        (vec(node(), 0..3), vec(plugin(), 0..2), vec(refusal(), 0..2)).prop_map(|(nodes, plugins, refused)| {
            Reply::Catalogue {
                nodes,
                plugins,
                refused,
            }
        }),
        (any::<bool>(), diagnostics()).prop_map(|(ok, diagnostics)| Reply::Checked { ok, diagnostics }),
        (vec(row, 0..3), diagnostics()).prop_map(|(rows, diagnostics)| Reply::Planned { rows, diagnostics }),
        (any::<u8>(), diagnostics()).prop_map(|(ahead, diagnostics)| Reply::Accepted {
            ahead: ahead.into(),
            diagnostics
        }),
        event().prop_map(Reply::Event),
        summary().prop_map(|summary| Reply::Ran { summary }),
        vec(text(), 0..3).prop_map(|nodes| Reply::Noted { nodes }),
        (text(), vec(entry, 0..3)).prop_map(|(path, entries)| Reply::Folder { path, entries }),
        (text(), any::<u64>(), vec(any::<u8>(), 0..40)).prop_map(|(path, size, bytes)| Reply::File {
            path,
            size,
            bytes: Bytes(bytes)
        }),
        (text(), any::<u32>(), picture()).prop_map(|(path, n, picture)| Reply::Picture {
            path,
            full_width: n,
            full_height: n,
            picture
        }),
        vec(text(), 0..3).prop_map(|packages| Reply::Building { packages }),
        (
            vec(text(), 0..3),
            vec(plugin(), 0..2),
            vec(refusal(), 0..2),
            option::of(build())
        )
            .prop_map(|(changed, plugins, refused, build)| Reply::Reloaded {
                changed,
                plugins,
                refused,
                build
            }),
        (kind, text(), option::of(text()), diagnostics()).prop_map(|(kind, message, help, diagnostics)| Reply::Error(
            Error {
                kind,
                message,
                help,
                diagnostics
            }
        )),
    ]
}

proptest! {
    #[test]
    fn requests_survive_a_line(id in any::<u64>(), ask in ask()) {
        let request = Request { id, ask };
        let line = serde_json::to_string(&request).unwrap();
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(Request::read(&line).unwrap(), request);
    }

    #[test]
    fn messages_survive_a_line(id in option::of(any::<u64>()), reply in reply()) {
        let message = Message { id, reply };
        let line = serde_json::to_string(&message).unwrap();
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(serde_json::from_str::<Message>(&line).unwrap(), message);
    }
}

#[test]
fn a_bad_line_keeps_its_id_if_it_has_one() {
    for (line, id, words) in [
        ("", None, "EOF"),
        ("null", None, "not an object"),
        ("{\"ask\":\"quit\"}", None, "no `id`"),
        ("{\"id\":-1,\"ask\":\"quit\"}", None, "not a whole number"),
        ("{\"id\":7}", Some(7), "missing field `ask`"),
        ("{\"id\":7,\"ask\":\"sing\"}", Some(7), "unknown variant `sing`"),
        ("{\"id\":7,\"ask\":\"check\"}", Some(7), "missing field `graph`"),
        (
            "{\"id\":7,\"ask\":\"run\",\"graph\":{\"text\":3}}",
            Some(7),
            "expected a string",
        ),
    ] {
        let bad = Request::read(line).unwrap_err();
        assert_eq!(bad.id, id, "{line}");
        assert!(bad.message.contains(words), "{line}: {}", bad.message);
    }
}
