/* Tokenizers and chat templates, made of the field's reference libraries in Rust.
 *
 * Every function may be called from any thread; tokenizers and templates are immutable. Nothing
 * unwinds into the caller: a panic inside becomes DT_INTERNAL. Functions that return int give one
 * of the codes below and, where it is not DT_OK, a sentence in *error (free it with
 * dt_buffer_free). Views are borrowed for the call. */
#ifndef DUNLIN_TEXT_H
#define DUNLIN_TEXT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { DT_OK = 0, DT_INVALID = 1, DT_TOO_LARGE = 2, DT_UNSUPPORTED = 3, DT_INTERNAL = 4 };

typedef struct dt_tokenizer dt_tokenizer;
typedef struct dt_template dt_template;

typedef struct {
    const uint8_t* data;
    size_t size;
} dt_view;
typedef struct {
    uint8_t* data;
    size_t size, capacity;
} dt_buffer; /* owned by this library */

/* A GGUF file's vocabulary. Kinds: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6
 * byte. */
typedef struct {
    dt_view model; /* "gpt2": byte-level BPE; "llama", "gemma4": SentencePiece BPE */
    dt_view pre;   /* name of the pre-tokenizer; byte-level only */
    const dt_view* tokens;
    const int32_t* kinds;
    const float* scores; /* SentencePiece only */
    size_t token_count;
    const dt_view* merges; /* "left right"; byte-level only */
    size_t merge_count;
    int32_t bos, eos, unk; /* -1: none */
    uint8_t add_bos, add_eos, add_space_prefix;
} dt_spec;

typedef struct {
    uint32_t size;
    int32_t bos, eos;
    uint8_t strips_leading_space; /* the first space of a decoded text is not part of it */
} dt_info;

void dt_buffer_free(dt_buffer* buffer);

int dt_tokenizer_from_json(dt_view json, dt_view config_json, dt_tokenizer** out, dt_buffer* error);
int dt_tokenizer_from_spec(const dt_spec* spec, dt_tokenizer** out, dt_buffer* error);
void dt_tokenizer_free(dt_tokenizer* tokenizer);
dt_info dt_tokenizer_info(const dt_tokenizer* tokenizer);

/* Flags of dt_encode. */
enum { DT_ADD_SPECIAL = 1, DT_PARSE_SPECIAL = 2 };
/* *ids receives int32 values, 4 bytes each. */
int dt_encode(const dt_tokenizer* tokenizer, dt_view text, uint32_t flags, dt_buffer* ids,
              dt_buffer* error);

/* The bytes that a token stands for, empty for control tokens; valid for the tokenizer's life. */
dt_view dt_token_bytes(const dt_tokenizer* tokenizer, int32_t id, int32_t* kind);
/* -1: no such piece. */
int32_t dt_token_id(const dt_tokenizer* tokenizer, dt_view piece);

int dt_template_new(dt_view source, dt_view bos, dt_view eos, dt_template** out, dt_buffer* error);
void dt_template_free(dt_template* chat_template);
/* context_json: an object; now_unix_s: what strftime_now sees. */
int dt_template_render(const dt_template* chat_template, dt_view context_json, int64_t now_unix_s,
                       dt_buffer* text, dt_buffer* error);

/* Panics inside, for the test that nothing gets out. */
int dt_test_panic(dt_buffer* error);

#ifdef __cplusplus
}
#endif
#endif
