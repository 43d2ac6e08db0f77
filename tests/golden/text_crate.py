"""The text crate from Python, through its C header, for comparison with the libraries of the field."""

import ctypes
import json
import subprocess
from ctypes import POINTER, byref, c_char_p, c_float, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_void_p


class View(ctypes.Structure):
    _fields_ = [("data", c_char_p), ("size", c_size_t)]


class Buffer(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("size", c_size_t), ("capacity", c_size_t)]


class Spec(ctypes.Structure):
    _fields_ = [("model", View), ("pre", View), ("tokens", POINTER(View)), ("kinds", POINTER(c_int32)),
                ("scores", POINTER(c_float)), ("token_count", c_size_t), ("merges", POINTER(View)),
                ("merge_count", c_size_t), ("bos", c_int32), ("eos", c_int32), ("unk", c_int32),
                ("add_bos", c_uint8), ("add_eos", c_uint8), ("add_space_prefix", c_uint8)]


def view(text: str | bytes) -> View:
    data = text.encode() if isinstance(text, str) else text
    return View(data, len(data))


def views(texts: list[str]):
    return (View * len(texts))(*map(view, texts))


class Crate:
    """`archive` is cargo's static library; it becomes a shared one at `shared`."""

    def __init__(self, archive: str, shared: str):
        subprocess.run(["cc", "-shared", "-o", shared, "-Wl,--whole-archive", archive,
                        "-Wl,--no-whole-archive", "-lm", "-ldl", "-lpthread"], check=True)
        self.c = ctypes.CDLL(shared)
        self.c.dt_tokenizer_from_json.argtypes = [View, View, c_void_p, c_void_p]
        self.c.dt_tokenizer_from_spec.argtypes = [c_void_p, c_void_p, c_void_p]
        self.c.dt_encode.argtypes = [c_void_p, View, c_uint32, c_void_p, c_void_p]
        self.c.dt_template_new.argtypes = [View, View, View, c_void_p, c_void_p]
        self.c.dt_template_render.argtypes = [c_void_p, View, c_int64, c_void_p, c_void_p]
        self.c.dt_template_free.argtypes = [c_void_p]

    def taken(self, buffer: Buffer) -> bytes:
        data = ctypes.string_at(buffer.data, buffer.size) if buffer.size else b""
        self.c.dt_buffer_free(byref(buffer))
        return data

    def called(self, function, *arguments) -> None:
        error = Buffer()
        if function(*arguments, byref(error)) != 0:
            raise ValueError(self.taken(error).decode())

    def tokenizer_from_json(self, text: bytes, config: bytes) -> c_void_p:
        out = c_void_p()
        self.called(self.c.dt_tokenizer_from_json, view(text), view(config), byref(out))
        return out

    def tokenizer_from_gguf(self, meta: dict) -> c_void_p:
        get = lambda key, default=None: meta.get("tokenizer.ggml." + key, default)
        tokens, merges = get("tokens"), get("merges", [])
        scores = get("scores")
        spec = Spec(view(get("model")), view(get("pre", "")), views(tokens), (c_int32 * len(tokens))(*get("token_type")),
                    (c_float * len(tokens))(*scores) if scores else None, len(tokens), views(merges), len(merges),
                    get("bos_token_id", -1), get("eos_token_id", -1), get("unknown_token_id", -1),
                    get("add_bos_token", False), get("add_eos_token", False), get("add_space_prefix", True))
        out = c_void_p()
        self.called(self.c.dt_tokenizer_from_spec, byref(spec), byref(out))
        return out

    def encode(self, tokenizer: c_void_p, text: str) -> list[int]:
        """With special tokens read where the text spells them, and none added."""
        ids = Buffer()
        self.called(self.c.dt_encode, tokenizer, view(text), 2, byref(ids))
        data = self.taken(ids)
        return list(memoryview(data).cast("i")) if data else []

    def render(self, source: str, bos: str, eos: str, context: dict, now_unix_s: int) -> str:
        template = c_void_p()
        self.called(self.c.dt_template_new, view(source), view(bos), view(eos), byref(template))
        try:
            text = Buffer()
            context_json = json.dumps(context, ensure_ascii=False)
            self.called(self.c.dt_template_render, template, view(context_json), now_unix_s, byref(text))
            return self.taken(text).decode()
        finally:
            self.c.dt_template_free(template)
