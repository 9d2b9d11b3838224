//! Graphs inside pictures: every PNG that is saved carries the graph that made it.

/// Keyword of the PNG's iTXt chunk.
pub const KEYWORD: &str = "paragraph";

/// The longest text of a graph in a picture, in bytes.
const LONGEST: usize = 64 << 20;

/// The graph in a PNG's bytes.
///
/// # Errors
/// A sentence when the bytes are a damaged PNG or hold no graph.
pub fn graph_in_png(bytes: &[u8]) -> Result<String, String> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
        .read_info()
        .map_err(|e| format!("it is a damaged PNG ({e})"))?;
    let found = |info: &png::Info<'_>| {
        let chunk = info.utf8_text.iter().find(|chunk| chunk.keyword == KEYWORD)?;
        let mut chunk = chunk.clone();
        // A few bytes may unpack to any number: no graph is that long.
        let text = chunk
            .decompress_text_with_limit(LONGEST)
            .and_then(|()| chunk.get_text());
        Some(text.map_err(|e| format!("its graph is damaged ({e})")))
    };
    if let Some(text) = found(reader.info()) {
        return text;
    }
    // Other programs move text behind the picture.
    reader.finish().map_err(|e| format!("it is a damaged PNG ({e})"))?;
    found(reader.info()).unwrap_or_else(|| Err("it is a picture without a graph in it".into()))
}
