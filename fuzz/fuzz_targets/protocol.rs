//! Any bytes as a line to the worker, and as a line from it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(line) = std::str::from_utf8(bytes) else { return };
    if let Ok(request) = protocol::Request::read(line) {
        let again = serde_json::to_string(&request).expect("a request is plain data");
        // Not compared as values: the last digit of a number may differ after its way through text.
        assert!(!again.contains('\n') && protocol::Request::read(&again).is_ok());
    }
    if let Ok(message) = serde_json::from_str::<protocol::Message>(line) {
        assert!(serde_json::to_string(&message).is_ok());
    }
});
