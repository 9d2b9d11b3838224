//! Damage to JSON texts: to their bytes, and to what they say.

use graph::Spans;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// One change. Values and keys are picked anew in the text that the changes before have left.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    /// Another text in place of a value.
    Value(Index, String),
    /// Another text in place of a key.
    Key(Index, String),
    /// One key twice, or under another's name.
    SameKey(Index, Index),
    /// A member or element less, with the comma beside it.
    Remove(Index),
    /// A member or element twice.
    Repeat(Index),
    /// Two values change places.
    Swap(Index, Index),
    /// A value stands elsewhere too: links lead to other nodes, in circles, to themselves.
    Copy(Index, Index),
    /// A value within so many lists or objects.
    Nest(Index, usize, bool),
    /// Characters cut out and others put in.
    Bytes(Index, usize, String),
}

/// Texts that no graph is expected to hold, valid JSON and not.
const STRANGE: [&str; 47] = [
    "null",
    "true",
    "0",
    "-0",
    "-1",
    "3.9",
    "1e999",
    "-1e308",
    "1e-400",
    "18446744073709551616",
    "9007199254740993",
    "-9223372036854775809",
    "0000001",
    "0x10",
    "NaN",
    "-Infinity",
    "\"NaN\"",
    "\"\"",
    "\" \"",
    "\".\"",
    "\"..\"",
    "\"a.b\"",
    "\"base.model\"",
    "\"base.model.text\"",
    "\"base.\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800x\"",
    "\"\\u0000\"",
    "\"\\u001b[2J\"",
    "\"\\u202egnp.exe\"",
    "\"/dev/zero\"",
    "\"/proc/self/mem\"",
    "\"no/such/file\"",
    "\"para/train@0\"",
    "\"para/train@4294967296\"",
    "\"para/train@1\"",
    "\"para/train@99\"",
    "\"image/save\"",
    "\"none/such\"",
    "[]",
    "[[]]",
    "{}",
    "{\"\":{}}",
    "[\"base.model\",\"base.model\",null]",
    "{\"type\":\"image/grid\",\"inputs\":{\"images\":[]},\"bypass\":true}",
    "{\"type\":\"load/model\",\"frozen\":\"0000000000000000000000000000000000000000000000000000000000000000\"}",
    "{\"type\":\"image/save\",\"frozen\":\"0000000000000000000000000000000000000000000000000000000000000000\"}",
];

const KEYS: [&str; 17] = [
    "\"type\"",
    "\"inputs\"",
    "\"params\"",
    "\"bypass\"",
    "\"frozen\"",
    "\"nodes\"",
    "\"layout\"",
    "\"paragraph\"",
    "\"made\"",
    "\"lock\"",
    "\"base\"",
    "\"\"",
    "\"a/b~1\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "tipe",
    "\"a.b\"",
];

fn token() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => select(&STRANGE[..]).prop_map(str::to_owned),
        2 => any::<f64>().prop_map(|number| format!("{number:e}")),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        2 => "\\PC{0,12}".prop_map(|text| serde_json::Value::String(text).to_string()),
        1 => (1..120_000_usize).prop_map(|length| format!("\"{}\"", "ö".repeat(length))),
        1 => (1..4000_usize).prop_map(|digits| "9".repeat(digits)),
    ]
}

/// Any one change.
pub(crate) fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<Index>;
    let key = prop_oneof![3 => select(&KEYS[..]).prop_map(str::to_owned), 1 => "[a-z]{1,3}".prop_map(|key| format!("\"{key}\""))];
    prop_oneof![
        4 => (place(), token()).prop_map(|(at, text)| Damage::Value(at, text)),
        2 => (place(), key).prop_map(|(at, text)| Damage::Key(at, text)),
        1 => (place(), place()).prop_map(|(at, from)| Damage::SameKey(at, from)),
        2 => place().prop_map(Damage::Remove),
        1 => place().prop_map(Damage::Repeat),
        1 => (place(), place()).prop_map(|(a, b)| Damage::Swap(a, b)),
        3 => (place(), place()).prop_map(|(at, from)| Damage::Copy(at, from)),
        1 => (place(), prop_oneof![1..200_usize, Just(20_000)], any::<bool>()).prop_map(|(at, deep, list)| Damage::Nest(at, deep, list)),
        3 => (place(), 0..12_usize, ".{0,3}|[\\[\\]{}\",:0-9eE.\\\\-]{0,3}").prop_map(|(at, cut, text)| Damage::Bytes(at, cut, text)),
    ]
}

/// The text with one change.
pub(crate) fn damaged(text: &str, damage: &Damage) -> String {
    let spans = Spans::of(text);
    let values: Vec<(Option<Range<usize>>, Range<usize>)> =
        spans.iter().map(|(_, span)| (span.key, span.value)).collect();
    let value = |at: &Index| (!values.is_empty()).then(|| at.get(&values).1.clone());
    let keys: Vec<Range<usize>> = values.iter().filter_map(|(key, _)| key.clone()).collect();
    let key = |at: &Index| (!keys.is_empty()).then(|| at.get(&keys).clone());
    let member = |at: &Index| {
        let (key, value) = (!values.is_empty()).then(|| at.get(&values).clone())?;
        Some(key.map_or(value.start, |key| key.start)..value.end)
    };
    let splice = |range: Range<usize>, put: &str| [&text[..range.start], put, &text[range.end..]].concat();
    let done = match damage {
        Damage::Value(at, put) => value(at).map(|range| splice(range, put)),
        Damage::Key(at, put) => key(at).map(|range| splice(range, put)),
        Damage::SameKey(at, from) => key(at).zip(key(from)).map(|(at, from)| splice(at, &text[from])),
        Damage::Remove(at) => member(at).map(|range| splice(with_comma(text, range), "")),
        Damage::Repeat(at) => member(at).map(|range| splice(range.clone(), &format!("{0},{0}", &text[range]))),
        Damage::Swap(a, b) => value(a).zip(value(b)).map(|(a, b)| {
            let (first, second) = if a.start <= b.start { (a, b) } else { (b, a) };
            // One within the other takes its place.
            if first.end > second.start {
                return splice(first, &text[second]);
            }
            let end = splice(second.clone(), &text[first.clone()]);
            [&end[..first.start], &text[second], &end[first.end..]].concat()
        }),
        Damage::Copy(at, from) => value(at).zip(value(from)).map(|(at, from)| splice(at, &text[from])),
        Damage::Nest(at, deep, list) => value(at).map(|range| {
            let (open, close) = if *list { ("[", "]") } else { ("{\"a\":", "}") };
            splice(
                range.clone(),
                &format!("{}{}{}", open.repeat(*deep), &text[range], close.repeat(*deep)),
            )
        }),
        Damage::Bytes(at, cut, put) => {
            let mut places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            places.push(text.len());
            let begin = at.index(places.len());
            let end = (begin + cut).min(places.len() - 1);
            Some(splice(places[begin]..places[end], put))
        }
    };
    done.unwrap_or_else(|| text.to_owned())
}

/// The member with the comma behind it, else with the one before it.
fn with_comma(text: &str, range: Range<usize>) -> Range<usize> {
    let behind = &text[range.end..];
    let space = behind.len() - behind.trim_start().len();
    if behind.trim_start().starts_with(',') {
        return range.start..range.end + space + 1;
    }
    let before = text[..range.start].trim_end();
    match before.strip_suffix(',') {
        Some(rest) => rest.len()..range.end,
        None => range,
    }
}

/// Does the work for so many values, always the same ones, on another thread. A panic is shrunk to a small value that
/// has it too; after a minute without an end the test fails with the value that has none.
pub(crate) fn survives<S: Strategy>(cases: u32, values: &S, work: impl Fn(&S::Value) + Send + 'static)
where
    S::Value: Clone + Send + 'static,
{
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let (send, given) = channel::<S::Value>();
    let (ended, ends) = channel();
    std::thread::spawn(move || {
        for value in given {
            let panicked = catch_unwind(AssertUnwindSafe(|| work(&value))).err();
            let said = panicked.map(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default()
            });
            if ended.send(said).is_err() {
                return;
            }
        }
    });
    let hangs = std::cell::Cell::new(false);
    let result = runner.run(values, |value| {
        if hangs.get() {
            return Ok(());
        }
        send.send(value)
            .map_err(|_| TestCaseError::fail("the working thread is gone"))?;
        match ends.recv_timeout(Duration::from_secs(60)) {
            Ok(None) => Ok(()),
            Ok(Some(said)) => Err(TestCaseError::fail(said)),
            Err(RecvTimeoutError::Timeout) => {
                hangs.set(true);
                Err(TestCaseError::fail("it does not end"))
            }
            Err(RecvTimeoutError::Disconnected) => Err(TestCaseError::fail("the working thread is gone")),
        }
    });
    if let Err(found) = result {
        panic!("{found}");
    }
}
