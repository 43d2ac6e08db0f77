//! Tokenizers and chat templates behind the C header `include/dunlin_text.h`, which says what each
//! function promises. Here is only the border: views become slices, results become codes, panics
//! stop. What is behind it stands in `tokenizer` and `chat_template`, without a pointer in sight.

mod chat_template;
mod confined;
mod error;
mod pre_tokenizer;
mod python_json;
mod python_methods;
mod strftime;
mod template_check;
mod tokenizer;

use chat_template::ChatTemplate;
use error::{Error, Result};
use std::panic::{catch_unwind, AssertUnwindSafe};
use tokenizer::{Spec, Tokenizer};

#[repr(C)]
#[derive(Clone, Copy)]
pub struct View {
    data: *const u8,
    size: usize,
}

#[repr(C)]
pub struct Buffer {
    data: *mut u8,
    size: usize,
    capacity: usize,
}

#[repr(C)]
pub struct RawSpec {
    model: View,
    pre: View,
    tokens: *const View,
    kinds: *const i32,
    scores: *const f32,
    token_count: usize,
    merges: *const View,
    merge_count: usize,
    bos: i32,
    eos: i32,
    unk: i32,
    add_bos: u8,
    add_eos: u8,
    add_space_prefix: u8,
}

#[repr(C)]
pub struct Info {
    size: u32,
    bos: i32,
    eos: i32,
    strips_leading_space: u8,
}

impl View {
    /// The caller promises that the bytes live as long as the call.
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.size == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.data, self.size)
    }
    unsafe fn text<'a>(self, what: &str) -> Result<&'a str> {
        std::str::from_utf8(self.bytes())
            .map_err(|_| Error::invalid(format!("{what} is not UTF-8")))
    }
}

unsafe fn array<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if count == 0 || data.is_null() {
        return &[];
    }
    std::slice::from_raw_parts(data, count)
}

fn put(buffer: *mut Buffer, bytes: Vec<u8>) {
    let mut bytes = std::mem::ManuallyDrop::new(bytes);
    let owned = Buffer { data: bytes.as_mut_ptr(), size: bytes.len(), capacity: bytes.capacity() };
    if !buffer.is_null() {
        unsafe { buffer.write(owned) };
    }
}

/// Runs `body`; whatever goes wrong, a panic too, becomes a code and a sentence.
fn guard(error: *mut Buffer, body: impl FnOnce() -> Result<()>) -> i32 {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return 0,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|s| s.to_string());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Error::internal(format!("the text library failed: {}", text.unwrap_or_default()))
        }
    };
    put(error, failure.message.into_bytes());
    failure.code
}

/// # Safety
/// `buffer` came from this library and is not used afterwards.
#[no_mangle]
pub unsafe extern "C" fn dt_buffer_free(buffer: *mut Buffer) {
    let b = &mut *buffer;
    if !b.data.is_null() {
        drop(Vec::from_raw_parts(b.data, b.size, b.capacity));
    }
    b.data = std::ptr::null_mut();
    b.size = 0;
    b.capacity = 0;
}

/// # Safety
/// Views are valid, `out` can be written.
#[no_mangle]
pub unsafe extern "C" fn dt_tokenizer_from_json(
    json: View,
    config_json: View,
    out: *mut *mut Tokenizer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        let tokenizer = Tokenizer::from_json(json.bytes(), config_json.bytes())?;
        out.write(Box::into_raw(Box::new(tokenizer)));
        Ok(())
    })
}

/// # Safety
/// All pointers and counts in `spec` are valid, `out` can be written.
#[no_mangle]
pub unsafe extern "C" fn dt_tokenizer_from_spec(
    spec: *const RawSpec,
    out: *mut *mut Tokenizer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        let raw = &*spec;
        let texts = |views: *const View, count: usize, what: &str| -> Result<Vec<String>> {
            array(views, count).iter().map(|v| Ok(v.text(what)?.to_string())).collect()
        };
        let spec = Spec {
            model: raw.model.text("the tokenizer's model")?.to_string(),
            pre: raw.pre.text("the pre-tokenizer's name")?.to_string(),
            tokens: texts(raw.tokens, raw.token_count, "a token")?,
            kinds: array(raw.kinds, raw.token_count).to_vec(),
            scores: array(raw.scores, raw.token_count).to_vec(),
            merges: texts(raw.merges, raw.merge_count, "a merge")?,
            bos: raw.bos,
            eos: raw.eos,
            unk: raw.unk,
            add_bos: raw.add_bos != 0,
            add_eos: raw.add_eos != 0,
            add_space_prefix: raw.add_space_prefix != 0,
        };
        out.write(Box::into_raw(Box::new(Tokenizer::from_spec(spec)?)));
        Ok(())
    })
}

/// # Safety
/// `tokenizer` came from this library and is not used afterwards.
#[no_mangle]
pub unsafe extern "C" fn dt_tokenizer_free(tokenizer: *mut Tokenizer) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(tokenizer))));
}

/// # Safety
/// `tokenizer` is valid.
#[no_mangle]
pub unsafe extern "C" fn dt_tokenizer_info(tokenizer: *const Tokenizer) -> Info {
    let t = &*tokenizer;
    Info {
        size: t.size() as u32,
        bos: t.bos,
        eos: t.eos,
        strips_leading_space: t.strips_leading_space as u8,
    }
}

/// # Safety
/// `tokenizer` and `text` are valid, `ids` can be written.
#[no_mangle]
pub unsafe extern "C" fn dt_encode(
    tokenizer: *const Tokenizer,
    text: View,
    flags: u32,
    ids: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        let found = (*tokenizer).encode(text.text("the text")?, flags & 1 != 0, flags & 2 != 0)?;
        put(ids, found.iter().flat_map(|id| (*id as i32).to_ne_bytes()).collect());
        Ok(())
    })
}

/// # Safety
/// `tokenizer` is valid, `kind` can be written.
#[no_mangle]
pub unsafe extern "C" fn dt_token_bytes(
    tokenizer: *const Tokenizer,
    id: i32,
    kind: *mut i32,
) -> View {
    let (bytes, its_kind) = (*tokenizer).token(id);
    kind.write(its_kind);
    View { data: bytes.as_ptr(), size: bytes.len() }
}

/// # Safety
/// `tokenizer` and `piece` are valid.
#[no_mangle]
pub unsafe extern "C" fn dt_token_id(tokenizer: *const Tokenizer, piece: View) -> i32 {
    let find = || piece.text("a piece").ok().and_then(|p| (*tokenizer).token_id(p));
    catch_unwind(AssertUnwindSafe(find)).ok().flatten().unwrap_or(-1)
}

/// # Safety
/// Views are valid, `out` can be written.
#[no_mangle]
pub unsafe extern "C" fn dt_template_new(
    source: View,
    bos: View,
    eos: View,
    out: *mut *mut ChatTemplate,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        let template = ChatTemplate::new(
            source.text("the template")?,
            bos.text("the bos token")?,
            eos.text("the eos token")?,
        )?;
        out.write(Box::into_raw(Box::new(template)));
        Ok(())
    })
}

/// # Safety
/// `chat_template` came from this library and is not used afterwards.
#[no_mangle]
pub unsafe extern "C" fn dt_template_free(chat_template: *mut ChatTemplate) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(chat_template))));
}

/// # Safety
/// `chat_template` and `context_json` are valid, `text` can be written.
#[no_mangle]
pub unsafe extern "C" fn dt_template_render(
    chat_template: *const ChatTemplate,
    context_json: View,
    now_unix_s: i64,
    text: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        let rendered = (*chat_template).render(context_json.text("the context")?, now_unix_s)?;
        put(text, rendered.into_bytes());
        Ok(())
    })
}

/// # Safety
/// `error` can be written.
#[no_mangle]
pub unsafe extern "C" fn dt_test_panic(error: *mut Buffer) -> i32 {
    guard(error, || panic!("planted"))
}
