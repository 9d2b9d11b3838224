//! Panics in nodes: told as that node's error, not printed over the progress bars.

use std::any::Any;
use std::cell::RefCell;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Remembers where a panic happened instead of printing it. Panics of the engine itself surface as bugs in `main`.
pub fn install_hook() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!("{}:{}", l.file(), l.line()));
        PLACE.with(|cell| *cell.borrow_mut() = place);
    }));
}

/// A panic's message and place. The payload is dropped here, at once: it may point into a plugin.
pub fn describe(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into());
    match PLACE.with(|cell| cell.borrow_mut().take()) {
        Some(place) => format!("{text} ({place})"),
        None => text,
    }
}
