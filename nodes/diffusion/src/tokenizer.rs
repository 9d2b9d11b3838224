//! CLIP's byte-pair tokenizer, from `tokenizer.json` or from `vocab.json` with `merges.txt`.

use sdk::{Error, Result, ResultExt, bail};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tokenizers::AddedToken;

/// How CLIP cuts text into words before the byte pairs.
const WORDS: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// A prompt as numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Start, text, end, and padding up to the tokenizer's length.
    pub ids: Vec<u32>,
    /// The end of the text, if it was too long and left out.
    pub cut: Option<String>,
}

/// Turns prompts into tokens as transformers' `CLIPTokenizer` does.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    length: usize,
    start: u32,
    end: u32,
    pad: u32,
}

impl Tokenizer {
    /// Reads a tokenizer's folder. `longest` is what the text encoder takes at most (its
    /// `max_position_embeddings`); the tokenizer's own `model_max_length` counts if it is smaller.
    ///
    /// # Errors
    /// Files that are missing or broken, special tokens that are not in the vocabulary.
    pub fn open(folder: impl AsRef<Path>, longest: usize) -> Result<Self> {
        let folder = folder.as_ref();
        let config = Settings::open(folder)?;
        let whole = folder.join("tokenizer.json");
        let mut inner = if whole.is_file() {
            let bytes = std::fs::read(&whole).context(|| whole.display())?;
            load(&bytes).context(|| whole.display())?
        } else {
            from_vocabulary(folder)?
        };
        // Length and padding are added below, the same for every kind of file.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| Error::msg(e.to_string()))?;
        inner.with_post_processor(None::<tokenizers::PostProcessorWrapper>);
        let special: Vec<AddedToken> = config.special.values().cloned().collect();
        for token in &special {
            if inner.token_to_id(&token.content).is_none() {
                bail!("{}: special token `{}` is not in the vocabulary", folder.display(), token.content;
                      help: "tokenizer_config.json and the vocabulary beside it do not belong together");
            }
        }
        inner
            .add_special_tokens(special)
            .map_err(|e| Error::msg(e.to_string()))?;
        let id = |key: &str, default: &str| {
            let content = config.special.get(key).map_or(default, |t| t.content.as_str());
            inner.token_to_id(content).ok_or_else(|| {
                Error::msg(format!(
                    "{}: the vocabulary has no `{content}` ({key})",
                    folder.display()
                ))
                .help("only CLIP tokenizers are supported")
            })
        };
        let (start, end) = (id("bos_token", "<|startoftext|>")?, id("eos_token", "<|endoftext|>")?);
        let pad = id("pad_token", "<|endoftext|>")?;
        let length = config.length.unwrap_or(longest).min(longest);
        if length < 2 {
            bail!(
                "{}: a length of {length} tokens leaves no room for start and end",
                folder.display()
            );
        }
        Ok(Self {
            inner,
            length,
            start,
            end,
            pad,
        })
    }

    /// Tokens in every encoded prompt.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The tokens of `text`, cut or padded to [`Tokenizer::length`].
    ///
    /// # Errors
    /// Only those of the tokenizer itself.
    pub fn encode(&self, text: &str) -> Result<Tokens> {
        let encoding = self
            .inner
            .encode(text, false)
            .map_err(|e| Error::msg(format!("the prompt cannot be tokenized: {e}")))?;
        let (words, room) = (encoding.get_ids(), self.length - 2);
        let cut = (words.len() > room).then(|| {
            // A token may start within a character: then the character counts as left out.
            let from = text.floor_char_boundary(encoding.get_offsets()[room].0);
            text[from..].trim().to_owned()
        });
        let mut ids = Vec::with_capacity(self.length);
        ids.push(self.start);
        ids.extend(&words[..words.len().min(room)]);
        ids.push(self.end);
        ids.resize(self.length, self.pad);
        Ok(Tokens { ids, cut })
    }
}

/// What `tokenizer_config.json` and `special_tokens_map.json` say.
struct Settings {
    length: Option<usize>,
    special: BTreeMap<String, AddedToken>,
}

impl Settings {
    fn open(folder: &Path) -> Result<Self> {
        let config = optional_json(&folder.join("tokenizer_config.json"))?;
        let map = optional_json(&folder.join("special_tokens_map.json"))?;
        let mut special = BTreeMap::new();
        for key in ["bos_token", "eos_token", "unk_token", "pad_token"] {
            if let Some(token) = added_token(&config[key]).or_else(|| added_token(&map[key])) {
                special.insert(key.to_owned(), token);
            }
        }
        // transformers writes 10^30 for "no limit".
        let length = config["model_max_length"]
            .as_u64()
            .and_then(|n| usize::try_from(n).ok());
        Ok(Self { length, special })
    }
}

/// A special token as a plain string or as an object with its matching rules.
fn added_token(value: &Value) -> Option<AddedToken> {
    let content = value.as_str().or_else(|| value["content"].as_str())?;
    let rule = |key: &str| value[key].as_bool().unwrap_or(false);
    Some(
        AddedToken::from(content, true)
            .normalized(rule("normalized"))
            .lstrip(rule("lstrip"))
            .rstrip(rule("rstrip"))
            .single_word(rule("single_word")),
    )
}

fn optional_json(path: &Path) -> Result<Value> {
    if !path.is_file() {
        return Ok(Value::Null);
    }
    let text = std::fs::read_to_string(path).context(|| path.display())?;
    serde_json::from_str(&text).context(|| path.display())
}

fn load(json: &[u8]) -> Result<tokenizers::Tokenizer> {
    tokenizers::Tokenizer::from_bytes(json).map_err(|e| Error::msg(e.to_string()))
}

/// Writes the `tokenizer.json` that transformers would make of the two older files, and loads it.
fn from_vocabulary(folder: &Path) -> Result<tokenizers::Tokenizer> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).context(|| path.display()).help(|| {
            format!(
                "{} needs tokenizer.json, or vocab.json and merges.txt",
                folder.display()
            )
        })
    };
    let vocabulary: HashMap<String, u32> =
        serde_json::from_str(&read("vocab.json")?).context(|| format!("{}: vocab.json", folder.display()))?;
    let mut merges = Vec::new();
    for (number, line) in read("merges.txt")?.lines().enumerate() {
        if line.trim().is_empty() || (number == 0 && line.starts_with("#version")) {
            continue;
        }
        match line.trim_end().split(' ').collect::<Vec<_>>().as_slice() {
            [left, right] => merges.push([(*left).to_owned(), (*right).to_owned()]),
            _ => bail!(
                "{}: line {} is `{line}`, expected two tokens with a space between",
                folder.join("merges.txt").display(),
                number + 1
            ),
        }
    }
    let special = ["<|startoftext|>", "<|endoftext|>"];
    let added: Vec<Value> = special
        .iter()
        .filter_map(|content| Some((content, vocabulary.get(*content)?)))
        .map(|(content, id)| {
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true })
        })
        .collect();
    let whole = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "NFC" },
            { "type": "Replace", "pattern": { "Regex": r"\s+" }, "content": " " },
            { "type": "Lowercase" } ] },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            { "type": "Split", "pattern": { "Regex": WORDS }, "behavior": "Removed", "invert": true },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true } ] },
        "post_processor": null,
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": { "type": "BPE", "dropout": null, "unk_token": special[1], "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": merges },
    });
    load(whole.to_string().as_bytes()).context(|| folder.display())
}
