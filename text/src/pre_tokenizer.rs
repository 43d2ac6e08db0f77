//! Which pre-tokenizer a GGUF file means by a name. The patterns are those that the models'
//! publishers ship in their `tokenizer.json`. An unknown name is an error, never a default: a wrong
//! split gives wrong ids without any sign of it.

use crate::error::{Error, Result};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::punctuation::Punctuation;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::SplitDelimiterBehavior;

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const HAN_AND_HANGUL: &str = "[一-龥ࠀ-一가-퟿]+";
const DEEPSEEK_CODER: [&str; 4] = ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", HAN_AND_HANGUL];
/// The publisher's fourth pattern is `\s+$`, which takes quadratic time on a run of spaces that does
/// not end the piece; from its first space on and without giving any back it means the same.
const DEEPSEEK_LLM: [&str; 5] = [
    "[\r\n]",
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+",
    r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
    r"(?<!\s)\s++$",
    HAN_AND_HANGUL,
];

/// What happens before the byte-level alphabet is applied.
enum Before {
    Gpt2,         // GPT-2's own pattern
    SingleDigits, // every digit alone, then GPT-2's pattern
    Falcon,       // punctuation, GPT-2's pattern, digits in threes
    Pattern(&'static str),
    PatternsAndDigits(&'static [&'static str]), // one after the other, then every digit alone
}

struct Rule {
    before: Before,
    nfc: bool,         // the text is composed first
    whole_words: bool, // a word that is in the vocabulary is not merged together from its letters
}

fn rule(name: &str) -> Option<Rule> {
    use Before::*;
    let (before, nfc, whole_words) = match name {
        "gpt-2" | "gpt2" | "phi-2" | "jais" => (Gpt2, false, false),
        "mpt" | "olmo" => (Gpt2, true, false),
        "smollm" | "starcoder" | "refact" | "codeshell" => (SingleDigits, false, false),
        "command-r" => (SingleDigits, true, false),
        "falcon" => (Falcon, false, false),
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" => (Pattern(LLAMA3), false, true),
        "smaug-bpe" => (Pattern(LLAMA3), false, false),
        "qwen2" | "deepseek-r1-qwen" => (Pattern(QWEN2), true, false),
        "stablelm2" => (Pattern(QWEN2), false, false),
        "qwen35" => (Pattern(QWEN35), false, false),
        "deepseek-coder" => (PatternsAndDigits(&DEEPSEEK_CODER), false, false),
        "deepseek-llm" => (PatternsAndDigits(&DEEPSEEK_LLM), false, false),
        _ => return None,
    };
    Some(Rule { before, nfc, whole_words })
}

fn split(pattern: &str) -> Result<PreTokenizerWrapper> {
    let regex = SplitPattern::Regex(pattern.to_string());
    let split = Split::new(regex, SplitDelimiterBehavior::Isolated, false);
    Ok(split.map_err(|e| Error::internal(e.to_string()))?.into())
}

fn steps(before: &Before) -> Result<Vec<PreTokenizerWrapper>> {
    let with_pattern = || ByteLevel::new(false, true, true).into();
    let alphabet = || ByteLevel::new(false, true, false).into();
    Ok(match before {
        Before::Gpt2 => vec![with_pattern()],
        Before::SingleDigits => vec![Digits::new(true).into(), with_pattern()],
        Before::Falcon => vec![
            Punctuation::new(SplitDelimiterBehavior::Contiguous).into(),
            with_pattern(),
            Digits::new(false).into(),
            split("[0-9][0-9][0-9]")?,
        ],
        Before::Pattern(pattern) => vec![split(pattern)?, alphabet()],
        Before::PatternsAndDigits(patterns) => {
            let mut steps = patterns.iter().map(|p| split(p)).collect::<Result<Vec<_>>>()?;
            steps.extend([Digits::new(true).into(), alphabet()]);
            steps
        }
    })
}

/// What stands around a byte-level BPE in the model's tokenizer.
pub struct ByteLevelSetup {
    pub steps: PreTokenizerWrapper,
    pub nfc: bool,
    pub whole_words: bool,
}

/// Errors: Unsupported, with the name.
pub fn byte_level(name: &str) -> Result<ByteLevelSetup> {
    let Some(rule) = rule(name) else {
        return Err(Error::unsupported(format!(
            "the pre-tokenizer '{name}' is not known; put the model's tokenizer.json beside the file"
        )));
    };
    let steps = Sequence::new(steps(&rule.before)?).into();
    Ok(ByteLevelSetup { steps, nfc: rule.nfc, whole_words: rule.whole_words })
}
