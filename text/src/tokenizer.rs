//! A Hugging Face tokenizer and a table of the bytes that each of its tokens stands for.

use crate::error::{Error, Result};
use crate::pre_tokenizer;
use std::collections::HashMap;
use std::sync::OnceLock;
use tokenizers::decoders::DecoderWrapper;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::normalizers::{Prepend, Replace, Sequence as Normalizers};
use tokenizers::{AddedToken, Tokenizer as Inner};

const TEXT_BYTES_MAX: usize = 4 << 20;
const JSON_BYTES_MAX: usize = 256 << 20;
const PIECE_BYTES_MAX: usize = 4 << 10;
const TOKENS_MAX: usize = 4 << 20;
const SPACE: &str = "\u{2581}"; // what SentencePiece writes for a space

pub struct Spec {
    pub model: String,
    pub pre: String,
    pub tokens: Vec<String>,
    pub kinds: Vec<i32>,
    pub scores: Vec<f32>,
    pub merges: Vec<String>,
    pub bos: i32,
    pub eos: i32,
    pub unk: i32,
    pub add_bos: bool,
    pub add_eos: bool,
    pub add_space_prefix: bool,
}

mod kind {
    pub const NORMAL: i32 = 1;
    pub const CONTROL: i32 = 3;
    pub const USER: i32 = 4;
    pub const UNUSED: i32 = 5;
    pub const BYTE: i32 = 6;
}

struct Token {
    end: usize, // in `bytes`
    kind: i32,
}

pub struct Tokenizer {
    inner: Inner,             // finds special tokens in the text
    literal: OnceLock<Inner>, // does not; made when first asked for
    bytes: Vec<u8>,
    tokens: Vec<Token>,
    pub bos: i32,
    pub eos: i32,
    add_bos: bool,
    add_eos: bool,
    own_specials: bool, // inner has no post-processor: bos and eos are put here
    pub strips_leading_space: bool,
}

/// The library would start a thread for each core; the threads here belong to the engine.
fn never_in_parallel() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| tokenizers::utils::parallelism::set_parallelism(false));
}

fn library(error: tokenizers::Error) -> Error {
    Error::invalid(format!("the tokenizer: {error}"))
}

impl Tokenizer {
    pub fn from_spec(spec: Spec) -> Result<Self> {
        if spec.tokens.len() > TOKENS_MAX || spec.kinds.len() != spec.tokens.len() {
            return Err(Error::invalid("the vocabulary's sizes do not fit together"));
        }
        never_in_parallel();
        let (byte_level, mut inner) = match spec.model.as_str() {
            "gpt2" => (true, byte_level_bpe(&spec)?),
            "llama" => (false, sentencepiece_bpe(&spec, false)?),
            "gemma4" => (false, sentencepiece_bpe(&spec, true)?),
            other => {
                return Err(Error::unsupported(format!(
                    "tokenizers of type '{other}' cannot be built from GGUF; \
                     put the model's tokenizer.json beside the file"
                )))
            }
        };
        for (special, wanted) in [(true, kind::CONTROL), (false, kind::USER)] {
            let added: Vec<AddedToken> = spec
                .tokens
                .iter()
                .zip(&spec.kinds)
                .filter(|(_, kind)| **kind == wanted)
                .map(|(token, _)| AddedToken::from(token.clone(), special).normalized(false))
                .collect();
            let done =
                if special { inner.add_special_tokens(added) } else { inner.add_tokens(added) };
            done.map_err(library)?;
        }
        let mut tokenizer = Tokenizer {
            inner,
            literal: OnceLock::new(),
            bytes: Vec::new(),
            tokens: Vec::with_capacity(spec.tokens.len()),
            bos: spec.bos,
            eos: spec.eos,
            add_bos: spec.add_bos,
            add_eos: spec.add_eos,
            own_specials: true,
            strips_leading_space: !byte_level && spec.add_space_prefix,
        };
        for (token, kind) in spec.tokens.iter().zip(&spec.kinds) {
            tokenizer.push_token(token, *kind, byte_level);
        }
        Ok(tokenizer)
    }

    pub fn from_json(json: &[u8], config_json: &[u8]) -> Result<Self> {
        if json.len() > JSON_BYTES_MAX || config_json.len() > JSON_BYTES_MAX {
            return Err(Error::too_large("tokenizer.json is larger than 256 MiB"));
        }
        never_in_parallel();
        let inner = Inner::from_bytes(json).map_err(library)?;
        let byte_level = matches!(inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_)));
        let config: serde_json::Value = if config_json.is_empty() {
            serde_json::Value::Null
        } else {
            serde_json::from_slice(config_json)
                .map_err(|e| Error::invalid(format!("tokenizer_config.json: {e}")))?
        };
        let named = |key: &str| -> i32 {
            let piece = config[key].as_str().or_else(|| config[key]["content"].as_str());
            piece.and_then(|p| inner.token_to_id(p)).map_or(-1, |id| id as i32)
        };
        let (bos, eos) = (named("bos_token"), named("eos_token"));
        let vocabulary: HashMap<u32, String> =
            inner.get_vocab(true).into_iter().map(|(piece, id)| (id, piece)).collect();
        let added = inner.get_added_tokens_decoder();
        let size = vocabulary.keys().max().map_or(0, |id| *id as usize + 1);
        if size > TOKENS_MAX {
            return Err(Error::too_large("the vocabulary is larger than 4,194,304 tokens"));
        }
        let mut tokenizer = Tokenizer {
            inner,
            literal: OnceLock::new(),
            bytes: Vec::new(),
            tokens: Vec::with_capacity(size),
            bos,
            eos,
            add_bos: false,
            add_eos: false,
            own_specials: false,
            strips_leading_space: !byte_level,
        };
        for id in 0..size as u32 {
            let piece = vocabulary.get(&id).map_or("", |piece| piece.as_str());
            let kind = match added.get(&id) {
                Some(token) if token.special => kind::CONTROL,
                Some(_) => kind::USER,
                None if piece.is_empty() => kind::UNUSED,
                None if !byte_level && byte_piece(piece).is_some() => kind::BYTE,
                None => kind::NORMAL,
            };
            tokenizer.push_token(piece, kind, byte_level);
        }
        Ok(tokenizer)
    }

    fn push_token(&mut self, piece: &str, kind: i32, byte_level: bool) {
        match kind {
            kind::CONTROL | kind::UNUSED => {}
            kind::USER => self.bytes.extend_from_slice(piece.as_bytes()),
            kind::BYTE => self.bytes.extend(byte_piece(piece)),
            _ if byte_level => self.bytes.extend(piece.chars().flat_map(bytes_of_char)),
            _ => self.bytes.extend_from_slice(piece.replace(SPACE, " ").as_bytes()),
        }
        self.tokens.push(Token { end: self.bytes.len(), kind });
    }

    pub fn size(&self) -> usize {
        self.tokens.len()
    }

    /// The bytes and kind of a token; nothing and "unused" for an id out of range.
    pub fn token(&self, id: i32) -> (&[u8], i32) {
        let Some(token) = usize::try_from(id).ok().and_then(|at| self.tokens.get(at)) else {
            return (&[], kind::UNUSED);
        };
        let begin = if id == 0 { 0 } else { self.tokens[id as usize - 1].end };
        (&self.bytes[begin..token.end], token.kind)
    }

    pub fn token_id(&self, piece: &str) -> Option<i32> {
        self.inner.token_to_id(piece).map(|id| id as i32)
    }

    pub fn encode(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<u32>> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Error::too_large("a text is longer than 4 MiB"));
        }
        let inner = if parse_special {
            &self.inner
        } else {
            self.literal.get_or_init(|| {
                let mut literal = self.inner.clone();
                literal.set_encode_special_tokens(true);
                literal
            })
        };
        let encoding =
            inner.encode_fast(text, add_special && !self.own_specials).map_err(library)?;
        let mut ids = encoding.get_ids().to_vec();
        if add_special && self.own_specials {
            if self.add_bos && self.bos >= 0 {
                ids.insert(0, self.bos as u32);
            }
            if self.add_eos && self.eos >= 0 {
                ids.push(self.eos as u32);
            }
        }
        Ok(ids)
    }
}

fn named_merges(spec: &Spec) -> Result<Vec<(String, String)>> {
    // A piece may begin with a space in a vocabulary without the byte-level alphabet, none is empty.
    let cut = |merge: &String| {
        let space = merge.char_indices().skip(1).find(|(_, c)| *c == ' ')?.0;
        Some((merge[..space].to_string(), merge[space + 1..].to_string()))
    };
    let merges: Option<Vec<_>> = spec.merges.iter().map(cut).collect();
    merges.ok_or_else(|| Error::invalid("a merge is not two pieces and a space"))
}

fn byte_level_bpe(spec: &Spec) -> Result<Inner> {
    let setup = pre_tokenizer::byte_level(&spec.pre)?;
    let model = BPE::builder()
        .vocab_and_merges(vocabulary(spec), named_merges(spec)?)
        .ignore_merges(setup.whole_words)
        .build()
        .map_err(library)?;
    let mut inner = Inner::new(model);
    inner.with_pre_tokenizer(Some(setup.steps));
    if setup.nfc {
        inner.with_normalizer(Some(NFC)).map_err(library)?;
    }
    Ok(inner)
}

/// SentencePiece files hold scores, not merges: every way to cut a piece into two pieces is a merge,
/// and the piece with the better score is made first.
fn merges_by_score(
    spec: &Spec,
    vocab: &ahash::AHashMap<String, u32>,
) -> Result<Vec<(String, String)>> {
    if spec.scores.len() != spec.tokens.len() {
        return Err(Error::invalid("the vocabulary has no scores"));
    }
    let normal = (0..spec.tokens.len()).filter(|i| spec.kinds[*i] == kind::NORMAL);
    let mut order: Vec<usize> = normal.collect();
    order.sort_by(|a, b| spec.scores[*b].total_cmp(&spec.scores[*a]));
    let mut merges = Vec::new();
    for index in order {
        let piece = &spec.tokens[index];
        if piece.len() > PIECE_BYTES_MAX {
            return Err(Error::invalid("a token of the vocabulary is longer than 4 KiB"));
        }
        let mut cuts: Vec<(u32, u32, String, String)> = piece
            .char_indices()
            .skip(1)
            .filter_map(|(at, _)| {
                let (left, right) = piece.split_at(at);
                Some((*vocab.get(left)?, *vocab.get(right)?, left.to_string(), right.to_string()))
            })
            .collect();
        cuts.sort();
        merges.extend(cuts.into_iter().map(|(_, _, left, right)| (left, right)));
    }
    Ok(merges)
}

/// BPE on the text itself, with U+2581 for a space and single bytes for what no piece covers.
fn sentencepiece_bpe(spec: &Spec, has_merges: bool) -> Result<Inner> {
    let vocab = vocabulary(spec);
    let merges = if has_merges { named_merges(spec)? } else { merges_by_score(spec, &vocab)? };
    let mut builder =
        BPE::builder().vocab_and_merges(vocab, merges).fuse_unk(true).byte_fallback(true);
    if let Some(unk) = usize::try_from(spec.unk).ok().and_then(|id| spec.tokens.get(id)) {
        builder = builder.unk_token(unk.clone());
    }
    let mut inner = Inner::new(builder.build().map_err(library)?);
    let mut steps = Vec::new();
    if spec.add_space_prefix {
        steps.push(Prepend::new(SPACE.to_string()).into());
    }
    steps.push(Replace::new(" ", SPACE).map_err(library)?.into());
    inner.with_normalizer(Some(Normalizers::new(steps))).map_err(library)?;
    Ok(inner)
}

fn vocabulary(spec: &Spec) -> ahash::AHashMap<String, u32> {
    spec.tokens.iter().enumerate().map(|(id, token)| (token.clone(), id as u32)).collect()
}

/// The byte of a piece like "<0x0A>".
fn byte_piece(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// The byte behind a letter of GPT-2's alphabet, in which every byte has a printable character:
/// printable Latin-1 stands for itself, the other bytes for 256, 257, ... in order. Characters
/// outside the alphabet (added tokens) are their own UTF-8.
fn bytes_of_char(c: char) -> Vec<u8> {
    let printable = |b: u32| matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let code = c as u32;
    if printable(code) {
        return vec![code as u8];
    }
    let hidden = (0..256).filter(|b| !printable(*b)).nth(code.wrapping_sub(256) as usize);
    match hidden {
        Some(byte) if code >= 256 => vec![byte as u8],
        _ => c.to_string().into_bytes(),
    }
}
