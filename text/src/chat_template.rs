//! Chat templates as transformers renders them: Jinja with trim_blocks and lstrip_blocks, Python's
//! string methods, `raise_exception`, `strftime_now` and its own `tojson`. A template comes from a
//! model file and is not trusted: it can reach nothing but what it is given, and fuel bounds what it
//! does. One fuel pays for one instruction or for 64 bytes read or written, so fuel bounds memory
//! too. How much there is follows from the size of the conversation: the published templates need
//! up to 2,400 for a call of a tool and a fifth of the bytes of a long conversation; but one puts all
//! that it has written together anew with each part, so there is a share for the square of the size.
//!
//! A value may lie in a list in a list and so on, as deep as fuel reaches, and is printed, compared
//! and dropped recursively. So a template runs on a stack of its own, of a size that follows from
//! its fuel; `template_check` excludes values that contain themselves. The heap is bounded too, for
//! what fuel does not see (`confined`).

use crate::confined;
use crate::error::{Error, Result};
use crate::python_json;
use crate::python_methods::{self, charge_bytes};
use crate::strftime::strftime;
use crate::template_check;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{from_args, Kwargs, Rest, Serde, ValueOrKwargs};
use minijinja::{Environment, ErrorKind, State, Value};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

const SOURCE_BYTES_MAX: usize = 128 << 10;
const CONTEXT_BYTES_MAX: usize = 4 << 20;
const OUTPUT_BYTES_MAX: usize = 16 << 20;
const INDENT_MAX: usize = 64;
const RANGE_MAX: i64 = 10_000;
const CLOCK_FORMAT_BYTES_MAX: usize = 100;
const MESSAGE_BYTES_MAX: usize = 500;
const NESTING_MAX: usize = 64; // of macros and loops that call themselves
const FUEL: u64 = 8_000;
const FUEL_MAX: u64 = 2_500_000;
const HEAP_BYTES: usize = 6 << 20;
const HEAP_BYTES_PER_CONTEXT_BYTE: usize = 32;
const PROCESSOR_US: u64 = 60_000;
const PROCESSOR_US_PER_CONTEXT_BYTE: u64 = 2;
const STACK_BYTES: usize = 1 << 20;
const STACK_BYTES_PER_FUEL: usize = 400; // a level costs 3 fuel at least
const NAME: &str = "chat";

const STOPPED: &str = "the chat template took more memory or time than a conversation of this \
                       size needs; it is not used any more: use a model with another template";

type Outcome<T> = std::result::Result<T, minijinja::Error>;

pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
    stopped: AtomicBool,
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MESSAGE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn described(error: &minijinja::Error) -> Error {
    let detail = cut(error.detail().unwrap_or("no details"));
    match (error.kind(), error.line()) {
        (ErrorKind::OutOfFuel, _) => Error::too_large(
            "the chat template does more work than a conversation of this size needs; \
             shorten the conversation, or use a model with another template",
        ),
        (_, Some(line)) => {
            Error::invalid(format!("the chat template, line {line}: {}: {detail}", error.kind()))
        }
        _ => Error::invalid(format!("the chat template: {}: {detail}", error.kind())),
    }
}

/// Templates for training mark the assistant's words with `generation` blocks, which mean nothing
/// when rendering.
fn without_generation_blocks(source: &str) -> String {
    let mut out = source.to_string();
    for (begin, end) in [("{%-", "-%}"), ("{%-", "%}"), ("{%", "-%}"), ("{%", "%}")] {
        for (word, meant) in [("generation", "if true"), ("endgeneration", "endif")] {
            out = out.replace(&format!("{begin} {word} {end}"), &format!("{begin} {meant} {end}"));
        }
    }
    out
}

impl ChatTemplate {
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<Self> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(Error::too_large("the chat template is larger than 128 KiB"));
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        let syntax = syntax.map_err(|e| described(&e))?;
        let source = without_generation_blocks(source);
        let source = template_check::checked(&source, syntax.clone())?;
        environment.set_syntax(syntax);
        environment.set_recursion_limit(NESTING_MAX);
        environment.set_unknown_method_callback(python_methods::call);
        environment.add_filter("tojson", python_json::tojson);
        environment.add_filter("indent", indent);
        // Here None could be walked over like an empty list; in Python it cannot, and templates ask
        // `tools is iterable` before they take its length.
        environment
            .add_test("iterable", |value: Value| !value.is_none() && value.try_iter().is_ok());
        environment.remove_filter("pprint"); // takes the square of a value's depth
        environment.remove_global("debug"); // prints everything it can reach
        environment.remove_global("namespace");
        environment.add_function(template_check::NAMESPACE, minijinja::functions::namespace);
        environment.add_function("range", range);
        environment.add_function("raise_exception", |message: String| -> Outcome<Value> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, cut(&message).to_string()))
        });
        environment.add_template_owned(NAME, source).map_err(|e| described(&e))?;
        Ok(ChatTemplate {
            environment,
            bos: bos.to_string(),
            eos: eos.to_string(),
            stopped: AtomicBool::new(false),
        })
    }

    pub fn render(&self, context_json: &str, now_unix_s: i64) -> Result<String> {
        if context_json.len() > CONTEXT_BYTES_MAX {
            return Err(Error::too_large("the conversation is larger than 4 MiB"));
        }
        let mut context: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(context_json)
                .map_err(|e| Error::invalid(format!("the template's context: {e}")))?;
        context.entry("bos_token").or_insert_with(|| self.bos.clone().into());
        context.entry("eos_token").or_insert_with(|| self.eos.clone().into());
        let mut values: BTreeMap<String, Value> =
            context.into_iter().map(|(k, v)| (k, Value::from(Serde(v)))).collect();
        let clock = move |format: String| -> Outcome<String> {
            if format.len() > CLOCK_FORMAT_BYTES_MAX {
                let why = "strftime_now() takes at most 100 characters";
                return Err(minijinja::Error::new(ErrorKind::InvalidOperation, why));
            }
            Ok(strftime(&format, now_unix_s))
        };
        values.insert("strftime_now".into(), Value::from_function(clock));
        let bytes = context_json.len() as u64;
        let fuel = FUEL + bytes + bytes * bytes / (128 << 10);
        let room = confined::Room {
            stack_bytes: STACK_BYTES + STACK_BYTES_PER_FUEL * fuel.min(FUEL_MAX) as usize,
            heap_bytes: HEAP_BYTES + HEAP_BYTES_PER_CONTEXT_BYTE * context_json.len(),
            processor_us: PROCESSOR_US + context_json.len() as u64 * PROCESSOR_US_PER_CONTEXT_BYTE,
        };
        self.render_confined(values, fuel.min(FUEL_MAX), room)
    }

    fn render_confined(
        &self,
        values: BTreeMap<String, Value>,
        fuel: u64,
        room: confined::Room,
    ) -> Result<String> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Error::too_large(STOPPED));
        }
        let mut environment = self.environment.clone(); // shares the compiled template
        environment.set_fuel(Some(fuel));
        match confined::run(room, move || rendered(&environment, values)) {
            Ok(text) => text,
            Err(confined::Failure::Stopped) => {
                self.stopped.store(true, Ordering::Relaxed);
                Err(Error::too_large(STOPPED))
            }
            Err(confined::Failure::NoThread(e)) => {
                Err(Error::internal(format!("no thread for the chat template: {e}")))
            }
        }
    }
}

fn rendered(environment: &Environment, values: BTreeMap<String, Value>) -> Result<String> {
    let template = environment.get_template(NAME).map_err(|e| described(&e))?;
    let mut out = Capped(Vec::new());
    match template.render_captured_to(values, &mut out) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::WriteFailure => {
            return Err(Error::too_large("the chat template writes more than 16 MiB"))
        }
        Err(e) => return Err(described(&e)),
    }
    String::from_utf8(out.0).map_err(|_| Error::internal("a template gave broken UTF-8"))
}

/// Python's `range`, of no more numbers than a template has use for.
fn range(first: i64, second: Option<i64>, step: Option<i64>) -> Outcome<Value> {
    let refused = |why| minijinja::Error::new(ErrorKind::InvalidOperation, why);
    let (begin, end) = second.map_or((0, first), |end| (first, end));
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(refused("range() with a step of 0"));
    }
    let (distance, stride) = if step > 0 {
        (i128::from(end) - i128::from(begin), i128::from(step))
    } else {
        (i128::from(begin) - i128::from(end), -i128::from(step))
    };
    let count = (distance.max(0) + stride - 1) / stride;
    if count > i128::from(RANGE_MAX) {
        return Err(refused("range() of more than 10000 numbers"));
    }
    Ok((0..count as i64).map(|at| Value::from(begin + at * step)).collect())
}

/// Jinja's `indent(width=4, first=false, blank=false)`: a line break at the end stays, which
/// minijinja's own filter takes away.
fn indent(state: &State, text: String, arguments: Rest<ValueOrKwargs>) -> Outcome<String> {
    let arguments = arguments.into_values();
    let (positional, named): (&[Value], Kwargs) = from_args(&arguments)?;
    let given = |at: usize, name: &str| -> Outcome<Option<Value>> {
        Ok(named.get::<Option<Value>>(name)?.or_else(|| positional.get(at).cloned()))
    };
    let width = given(0, "width")?.map_or(Ok(4), usize::try_from)?.min(INDENT_MAX);
    let first = given(1, "first")?.is_some_and(|v| v.is_true());
    let blank = given(2, "blank")?.is_some_and(|v| v.is_true());
    named.assert_all_used()?;
    charge_bytes(state, text.matches('\n').count() * width)?;
    let margin = " ".repeat(width);
    let mut out = String::new();
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        if (at == 0 && first) || (at > 0 && (blank || !line.is_empty())) {
            out.push_str(&margin);
        }
        out.push_str(line);
    }
    Ok(out)
}

/// Takes so many bytes and no more.
struct Capped(Vec<u8>);

impl std::io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_BYTES_MAX {
            return Err(std::io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
