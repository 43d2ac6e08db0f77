//! Chat templates as transformers renders them: Jinja with trim_blocks and lstrip_blocks, Python's
//! string methods, `raise_exception`, `strftime_now` and its own `tojson`. A template comes from a
//! model file and is not trusted: fuel bounds its work, a cap its output, and it can reach nothing
//! but what it is given.

use crate::error::{Error, Result};
use crate::python_json;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{from_args, Kwargs, Rest, Serde, ValueOrKwargs};
use minijinja::{Environment, ErrorKind, Value};

const SOURCE_BYTES_MAX: usize = 1 << 20;
const CONTEXT_BYTES_MAX: usize = 64 << 20;
const OUTPUT_BYTES_MAX: usize = 16 << 20;
const INDENT_MAX: usize = 64;
const FUEL: u64 = 50_000_000;
const NAME: &str = "chat";

pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

fn described(error: &minijinja::Error) -> Error {
    let detail = error.detail().unwrap_or("no details").to_string();
    match (error.kind(), error.line()) {
        (ErrorKind::OutOfFuel, _) => Error::too_large("the chat template works for too long"),
        (_, Some(line)) => Error::invalid(format!(
            "the chat template, line {line}: {}: {detail}",
            error.kind()
        )),
        _ => Error::invalid(format!("the chat template: {}: {detail}", error.kind())),
    }
}

/// Templates for training mark the assistant's words with `generation` blocks, which mean nothing
/// when rendering.
fn without_generation_blocks(source: &str) -> String {
    let mut out = source.to_string();
    for (begin, end) in [("{%-", "-%}"), ("{%-", "%}"), ("{%", "-%}"), ("{%", "%}")] {
        out = out.replace(&format!("{begin} generation {end}"), &format!("{begin} if true {end}"));
        out = out.replace(&format!("{begin} endgeneration {end}"), &format!("{begin} endif {end}"));
    }
    out
}

impl ChatTemplate {
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<Self> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(Error::too_large("the chat template is larger than 1 MiB"));
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|e| described(&e))?);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(64);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", python_json::tojson);
        environment.add_filter("indent", indent);
        // Here None could be walked over like an empty list; in Python it cannot, and templates ask
        // `tools is iterable` before they take its length.
        environment.add_test("iterable", |value: Value| !value.is_none() && value.try_iter().is_ok());
        environment.add_function("raise_exception", |message: String| -> std::result::Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        environment
            .add_template_owned(NAME, without_generation_blocks(source))
            .map_err(|e| described(&e))?;
        Ok(ChatTemplate { environment, bos: bos.to_string(), eos: eos.to_string() })
    }

    pub fn render(&self, context_json: &str, now_unix_s: i64) -> Result<String> {
        if context_json.len() > CONTEXT_BYTES_MAX {
            return Err(Error::too_large("the conversation is larger than 64 MiB"));
        }
        let mut context: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(context_json)
                .map_err(|e| Error::invalid(format!("the template's context: {e}")))?;
        context.entry("bos_token").or_insert_with(|| self.bos.clone().into());
        context.entry("eos_token").or_insert_with(|| self.eos.clone().into());
        let mut values: std::collections::BTreeMap<String, Value> =
            context.into_iter().map(|(k, v)| (k, Value::from(Serde(v)))).collect();
        values.insert(
            "strftime_now".into(),
            Value::from_function(move |format: String| strftime(&format, now_unix_s)),
        );
        let template = self.environment.get_template(NAME).map_err(|e| described(&e))?;
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
}

/// Jinja's `indent(width=4, first=false, blank=false)`: a line break at the end stays, which
/// minijinja's own filter takes away.
fn indent(text: String, arguments: Rest<ValueOrKwargs>) -> std::result::Result<String, minijinja::Error> {
    let arguments = arguments.into_values();
    let (positional, named): (&[Value], Kwargs) = from_args(&arguments)?;
    let given = |at: usize, name: &str| -> std::result::Result<Option<Value>, minijinja::Error> {
        Ok(named.get::<Option<Value>>(name)?.or_else(|| positional.get(at).cloned()))
    };
    let width = given(0, "width")?.map_or(Ok(4), usize::try_from)?.min(INDENT_MAX);
    let first = given(1, "first")?.is_some_and(|v| v.is_true());
    let blank = given(2, "blank")?.is_some_and(|v| v.is_true());
    named.assert_all_used()?;
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

/// The parts of strftime that templates use, in UTC.
fn strftime(format: &str, unix_s: i64) -> String {
    const MONTHS: [&str; 12] = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September",
        "October", "November", "December",
    ];
    const DAYS: [&str; 7] =
        ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let (day, second) = (unix_s.div_euclid(86_400), unix_s.rem_euclid(86_400));
    // Days to a date in the proleptic Gregorian calendar, with years that begin in March.
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (month_name, day_name) = (MONTHS[month as usize - 1], DAYS[day.rem_euclid(7) as usize]);

    let mut out = String::new();
    let mut letters = format.chars();
    while let Some(c) = letters.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match letters.next() {
            Some('Y') => out.push_str(&year.to_string()),
            Some('y') => out.push_str(&format!("{:02}", year.rem_euclid(100))),
            Some('m') => out.push_str(&format!("{month:02}")),
            Some('d') => out.push_str(&format!("{date:02}")),
            Some('B') => out.push_str(month_name),
            Some('b') => out.push_str(&month_name[..3]),
            Some('A') => out.push_str(day_name),
            Some('a') => out.push_str(&day_name[..3]),
            Some('H') => out.push_str(&format!("{:02}", second / 3600)),
            Some('I') => out.push_str(&format!("{:02}", (second / 3600 + 11) % 12 + 1)),
            Some('p') => out.push_str(if second < 43_200 { "AM" } else { "PM" }),
            Some('M') => out.push_str(&format!("{:02}", second / 60 % 60)),
            Some('S') => out.push_str(&format!("{:02}", second % 60)),
            Some('%') => out.push('%'),
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    out
}
