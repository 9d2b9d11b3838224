//! Archives and pictures from elsewhere, damaged in every way: refused, and nothing is written where it should not be.

use crate::support::archive::{archive, compressed, tar};
use crate::support::damage::{self, Damage, damaged};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use runner::content::Contents;
use runner::provenance::graph_in_png;
use runner::share::unpack;
use serde_json::json;
use std::fs;
use std::path::Path;
use tar::EntryType;

/// Bytes cut out and others put in, or the end cut off.
fn cuts() -> impl Strategy<Value = Vec<(Index, usize, Vec<u8>)>> {
    let one = prop_oneof![
        6 => (any::<Index>(), 0..4_usize, vec(any::<u8>(), 0..4)),
        3 => (any::<Index>(), Just(1), vec(any::<u8>(), 1)),
        1 => (any::<Index>(), Just(usize::MAX), Just(Vec::new())),
        1 => (any::<Index>(), 500..600_usize, vec(any::<u8>(), 512)),
    ];
    vec(one, 1..5)
}

fn cut(bytes: &[u8], cuts: &[(Index, usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, length, put) in cuts {
        let at = at.index(bytes.len() + 1);
        let end = at.saturating_add(*length).min(bytes.len());
        bytes.splice(at..end, put.iter().copied());
    }
    bytes
}

/// Long enough to be hit.
const CONTENT: &[u8] = &[b'c'; 3000];

/// The head, the graph and one packed file.
fn head() -> (String, String) {
    let content = blake3::hash(CONTENT).to_hex().to_string();
    let file =
        json!({ "node": "a", "param": "path", "path": "x", "blake3": content, "size": CONTENT.len(), "packed": true });
    let lock = json!({ "paragraph_lock": 1, "para": "0.1.0", "files": [file], "packs": [] });
    let head = json!({ "paragraph_bundle": 1, "graph": "g.json", "lock": lock });
    (head.to_string(), format!("files/{content}"))
}

const GRAPH: &str = r#"{ "paragraph": 1, "nodes": { "a": { "type": "load/images", "params": { "path": "x" } } } }"#;

fn entries<'a>(head: &'a str, name: &'a str) -> [(&'a str, EntryType, &'a [u8]); 3] {
    let regular = EntryType::Regular;
    [
        ("bundle.json", regular, head.as_bytes()),
        ("graph.json", regular, GRAPH.as_bytes()),
        (name, regular, CONTENT),
    ]
}

/// Opens an archive in `folder/in`. What is accepted holds what its head says; nothing is left, there or beside.
fn open(folder: &Path, bytes: &[u8]) -> bool {
    let file = folder.join("x.tar.gz");
    fs::write(&file, bytes).unwrap();
    let inside = folder.join("in");
    fs::create_dir_all(&inside).unwrap();
    let opened = unpack::read(&file, &inside, 1 << 20);
    let accepted = match &opened {
        Ok(unpacked) => {
            for locked in unpacked.head.lock.files.iter().filter(|file| file.packed) {
                let content = Contents::default().of(&unpacked.file(&locked.blake3)).unwrap();
                assert_eq!(content, locked.blake3);
            }
            true
        }
        Err(failure) => {
            assert!(failure.message.contains("x.tar.gz was not opened: "), "{failure}");
            false
        }
    };
    drop(opened);
    assert_eq!(fs::read_dir(&inside).unwrap().count(), 0);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
    accepted
}

#[test]
fn archives_with_damaged_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let (head, name) = head();
    let whole = tar(&entries(&head, &name));
    assert!(open(&root, &compressed(&whole)), "what is damaged was whole");
    damage::survives(1500, &(cuts(), any::<bool>()), move |(cuts, packed)| {
        if *packed {
            open(&root, &cut(&compressed(&whole), cuts));
        } else {
            open(&root, &compressed(&cut(&whole, cuts)));
        }
    });
}

#[test]
fn archives_whose_head_says_anything() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let (head, name) = head();
    damage::survives(1500, &vec(damage::damage(), 1..4), move |changes: &Vec<Damage>| {
        let head = changes.iter().fold(head.clone(), |text, change| damaged(&text, change));
        open(&root, &archive(&entries(&head, &name)));
    });
}

/// A picture with this graph, compressed in it.
fn picture(graph: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
    let mut chunk = png::text_metadata::ITXtChunk::new("paragraph", graph);
    chunk.compressed = true;
    let mut writer = {
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap()
    };
    writer.write_text_chunk(&chunk).unwrap();
    writer.write_image_data(&[7]).unwrap();
    writer.finish().unwrap();
    bytes
}

#[test]
fn pictures_with_damaged_bytes() {
    let whole = picture(GRAPH);
    assert_eq!(graph_in_png(&whole).unwrap(), GRAPH);
    damage::survives(3000, &cuts(), move |cuts| {
        let _ = graph_in_png(&cut(&whole, cuts));
    });
}

#[test]
fn a_picture_whose_text_unpacks_to_more_than_any_graph_is_refused() {
    let bomb = picture(&" ".repeat(200 << 20));
    assert!(bomb.len() < 4 << 20, "{} bytes", bomb.len());
    let said = graph_in_png(&bomb).unwrap_err();
    assert!(said.contains("its graph is damaged"), "{said}");
}
