//! `tojson` as Python's `json.dumps` writes it, which is what chat templates were written against:
//! ", " and ": " between parts, keys in their own order, non-ASCII as it is or escaped.

use crate::python_methods::{charge_bytes, charge_value};
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;

const INDENT_MAX: usize = 16;
const DEPTH_MAX: usize = 64;
const SEPARATOR_BYTES_MAX: usize = 16;

struct Style {
    ascii: bool,
    sorted: bool,
    indent: Option<usize>,
    comma: String,
    colon: String,
}

pub fn tojson(state: &State, value: Value, kwargs: Kwargs) -> Result<Value, Error> {
    let indent = kwargs.get::<Option<usize>>("indent")?.map(|n| n.min(INDENT_MAX));
    let separators = kwargs.get::<Option<Vec<String>>>("separators")?;
    let style = Style {
        ascii: kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sorted: kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        indent,
        comma: separators.as_ref().and_then(|s| s.first().cloned()).unwrap_or_else(|| {
            if indent.is_some() {
                ",".into()
            } else {
                ", ".into()
            }
        }),
        colon: separators.and_then(|s| s.get(1).cloned()).unwrap_or_else(|| ": ".into()),
    };
    kwargs.assert_all_used()?;
    if value.kind() == ValueKind::Undefined {
        return Err(Error::new(ErrorKind::InvalidOperation, "an undefined value is not JSON"));
    }
    // Paid for before the tree and the text are made: both grow with the value written out.
    let bytes = charge_value(state, &value, 0)?;
    let separators_bytes = style.comma.len() + style.colon.len();
    if separators_bytes > SEPARATOR_BYTES_MAX {
        return Err(Error::new(ErrorKind::InvalidOperation, "separators of more than 16 bytes"));
    }
    charge_bytes(state, bytes.saturating_mul(4))?;
    let json = serde_json::to_value(&value)
        .map_err(|e| Error::new(ErrorKind::InvalidOperation, e.to_string()))?;
    let mut out = String::new();
    write(&json, &style, 0, &mut out)?;
    Ok(Value::from_safe_string(out))
}

fn write(json: &Json, style: &Style, depth: usize, out: &mut String) -> Result<(), Error> {
    if depth > DEPTH_MAX {
        return Err(Error::new(ErrorKind::InvalidOperation, "a value is nested more than 64 deep"));
    }
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Json::Number(n) => out.push_str(&python_number(n)),
        Json::String(s) => write_string(s, style.ascii, out),
        Json::Array(items) => {
            let parts = items.iter().map(|item| (None, item)).collect();
            write_parts(('[', ']'), parts, style, depth, out)?;
        }
        Json::Object(members) => {
            let mut parts: Vec<_> = members.iter().map(|(k, v)| (Some(k.as_str()), v)).collect();
            if style.sorted {
                parts.sort_by_key(|(key, _)| *key);
            }
            write_parts(('{', '}'), parts, style, depth, out)?;
        }
    }
    Ok(())
}

fn write_parts(
    brackets: (char, char),
    parts: Vec<(Option<&str>, &Json)>,
    style: &Style,
    depth: usize,
    out: &mut String,
) -> Result<(), Error> {
    out.push(brackets.0);
    let newline = |out: &mut String, depth: usize| {
        if let Some(indent) = style.indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent * depth));
        }
    };
    for (at, (key, value)) in parts.iter().enumerate() {
        if at > 0 {
            out.push_str(&style.comma);
        }
        newline(out, depth + 1);
        if let Some(key) = key {
            write_string(key, style.ascii, out);
            out.push_str(&style.colon);
        }
        write(value, style, depth + 1, out)?;
    }
    if !parts.is_empty() {
        newline(out, depth);
    }
    out.push(brackets.1);
    Ok(())
}

/// Python writes whole floats with ".0" and exponents like 1e-07.
fn python_number(n: &serde_json::Number) -> String {
    if n.is_i64() || n.is_u64() {
        return n.to_string();
    }
    let value = n.as_f64().unwrap_or(0.0);
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    let text = format!("{value}");
    if text.contains('.') {
        text
    } else {
        text + ".0"
    }
}

fn write_string(s: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || (ascii && !c.is_ascii()) => {
                let mut units = [0u16; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
