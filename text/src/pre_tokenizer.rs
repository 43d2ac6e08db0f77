//! Which pre-tokenizer a GGUF file means by a name. The patterns are those that the models'
//! publishers ship in their `tokenizer.json`. An unknown name is an error, never a default: a wrong
//! split gives wrong ids without any sign of it.

use crate::error::{Error, Result};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::SplitDelimiterBehavior;

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What happens before the byte-level alphabet is applied.
enum Before {
    Nothing,      // GPT-2's own pattern
    SingleDigits, // every digit alone, then GPT-2's pattern
    Pattern(&'static str),
}

fn before(name: &str) -> Option<Before> {
    Some(match name {
        "gpt-2" | "gpt2" | "phi-2" | "mpt" | "olmo" | "jais" => Before::Nothing,
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" => Before::SingleDigits,
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "smaug-bpe" => Before::Pattern(LLAMA3),
        "qwen2" | "deepseek-r1-qwen" | "stablelm2" => Before::Pattern(QWEN2),
        _ => return None,
    })
}

/// REQUIRES a byte-level BPE. Errors: Unsupported, with the name.
pub fn byte_level(name: &str) -> Result<PreTokenizerWrapper> {
    let Some(before) = before(name) else {
        return Err(Error::unsupported(format!(
            "the pre-tokenizer '{name}' is not known; put the model's tokenizer.json beside the file"
        )));
    };
    let parts: Vec<PreTokenizerWrapper> = match before {
        Before::Nothing => return Ok(ByteLevel::new(false, true, true).into()),
        Before::SingleDigits => {
            vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()]
        }
        Before::Pattern(pattern) => {
            let regex = SplitPattern::Regex(pattern.to_string());
            let split = Split::new(regex, SplitDelimiterBehavior::Isolated, false)
                .map_err(|e| Error::internal(e.to_string()))?;
            vec![split.into(), ByteLevel::new(false, true, false).into()]
        }
    };
    Ok(Sequence::new(parts).into())
}
