//! Python's methods on strings and dictionaries, as templates call them, paid for before they work.
//!
//! minijinja charges a method for the string it is called on and for the string or list that comes
//! out. That leaves what grows in between, or costs the product of two sizes: those are charged here,
//! in advance, so that a template's whole work and memory are bounded by its fuel.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

const BYTES_PER_FUEL: usize = 64; // minijinja's own rate
const SLOT_BYTES: usize = 64; // of a list: the value, and the head of a string too long for it
const STRIP_CHARACTERS_MAX: usize = 64;
const FORMAT_WIDTH_MAX: usize = 1000;

pub fn charge_bytes(state: &State, bytes: usize) -> Result<(), Error> {
    state.consume_fuel((bytes / BYTES_PER_FUEL) as u64)
}

fn refused(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}

/// Pays for walking a value and writing it out, and gives the bytes. Ends when the fuel does, also
/// for a list that holds a list many times.
pub fn charge_value(state: &State, value: &Value, depth: usize) -> Result<usize, Error> {
    const DEPTH_MAX: usize = 64;
    if depth > DEPTH_MAX {
        return Err(refused("a value is nested more than 64 deep"));
    }
    if let Some(text) = value.as_str() {
        charge_bytes(state, text.len())?;
        return Ok(text.len());
    }
    state.consume_fuel(1)?;
    let mut bytes = 32;
    match value.kind() {
        ValueKind::Map => {
            for key in value.try_iter()?.checked() {
                let key = key?;
                bytes += charge_value(state, &key, depth + 1)?;
                bytes += charge_value(state, &value.get_item(&key)?, depth + 1)?;
            }
        }
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()?.checked() {
                bytes += charge_value(state, &item?, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(bytes)
}

/// The most bytes that padding can add: every number in the format, if each is a width.
fn format_padding(format: &str) -> Result<usize, Error> {
    let mut padding = 0;
    for digits in format.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()) {
        let width = digits.parse::<usize>().unwrap_or(usize::MAX);
        if width > FORMAT_WIDTH_MAX {
            return Err(refused("a format's width or index is above 1000"));
        }
        padding += width;
    }
    Ok(padding)
}

fn charge_string_method(state: &State, s: &str, name: &str, args: &[Value]) -> Result<(), Error> {
    let argument = args.first().and_then(|value| value.as_str());
    match name {
        "split" | "splitlines" => {
            let pieces = match argument {
                Some(separator) if !separator.is_empty() && name == "split" => {
                    s.matches(separator).count()
                }
                _ => s.chars().filter(|c| c.is_whitespace()).count(),
            };
            charge_bytes(state, s.len() + (pieces + 1) * SLOT_BYTES)
        }
        "strip" | "lstrip" | "rstrip" => match argument {
            Some(set) if set.len() > STRIP_CHARACTERS_MAX => {
                Err(refused("strip() takes at most 64 characters"))
            }
            Some(set) => charge_bytes(state, s.len().saturating_mul(1 + set.len() / 8)),
            None => Ok(()),
        },
        "replace" | "count" | "find" | "rfind" | "upper" | "lower" | "title" | "capitalize" => {
            charge_bytes(state, s.len().saturating_mul(2))
        }
        "join" => args.first().map_or(Ok(()), |values| charge_value(state, values, 0).map(|_| ())),
        "startswith" | "endswith" => {
            args.first().map_or(Ok(()), |values| charge_value(state, values, 0).map(|_| ()))
        }
        "format" => {
            let mut longest = 0;
            for value in args {
                longest = longest.max(charge_value(state, value, 0)?);
            }
            let fields = s.matches('{').count();
            if s.contains(":{") {
                return Err(refused("a format's width must stand in the format"));
            }
            charge_bytes(state, fields.saturating_mul(longest) + format_padding(s)?)
        }
        _ => Ok(()),
    }
}

pub fn call(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if let Some(s) = value.as_str() {
        charge_string_method(state, s, name, args)?;
    } else if name == "count" && value.kind() == ValueKind::Seq {
        charge_value(state, value, 0)?;
    }
    unknown_method_callback(state, value, name, args)
}
