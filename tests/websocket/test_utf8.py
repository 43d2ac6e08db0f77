"""UTF-8: the Autobahn suite's section 6. Python's own decoder says which texts are valid."""

import itertools
import random

import pytest
from raw import CONTINUE, TEXT, frame, text_in

KOSME = "κόσμε".encode()
VALID_BEFORE = "Hello-µ@ßöäüàá-UTF-8!!".encode()

CASES = [
    VALID_BEFORE, KOSME, KOSME + b"\xed\xa0\x80" + b"edited",
    *(KOSME[:n] for n in range(1, len(KOSME))),                          # cut off
    b"\x00", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80",          # the first of each length
    b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80",                # five and six bytes: none any more
    b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf",
    b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
    *(b"\x80" * n for n in range(1, 8)), bytes(range(0x80, 0xc0)),    # continuations alone
    *(bytes(itertools.chain(*((c, 0x20) for c in range(first, last))))         # beginnings alone
      for first, last in ((0xc0, 0xe0), (0xe0, 0xf0), (0xf0, 0xf8), (0xf8, 0xfc), (0xfc, 0xfe))),
    b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf",  # the last byte is missing
    b"\xc0\xe0\x80\xf0\x80\x80", b"\xfe", b"\xff", b"\xfe\xfe\xff\xff",
    b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf",  # too long
    b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80",
    b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf", b"\xed\xb0\x80", b"\xed\xbe\x80",
    b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80", b"\xed\xaf\xbf\xed\xbf\xbf",     # surrogates
    b"\xef\xbf\xbe", b"\xf0\x9f\xbf\xbe", b"\xf4\x8f\xbf\xbe",                      # not characters, but valid
    "\U0001f468‍\U0001f469‍\U0001f467".encode(), "你好，世界".encode(), b"",
]


def is_valid(data):
    try:
        data.decode()
        return True
    except UnicodeDecodeError:
        return False


def check(socket, data, frames):
    for one in frames:
        socket.send(one)
    if is_valid(data):
        assert socket.receive() == (TEXT, data)
    else:
        assert socket.rest() == [("close", 1007)]


@pytest.mark.parametrize("data", CASES, ids=lambda data: data.hex()[:32] or "empty")
@pytest.mark.parametrize("whole", [True, False])
def test_only_valid_texts_pass(connect, data, whole):
    check(connect(), data, [frame(TEXT, data)] if whole else text_in([data[i:i + 1] for i in range(len(data))] or [b""]))


def test_both_kinds_are_among_the_cases():
    assert 20 < sum(map(is_valid, CASES)) < len(CASES) - 30


def test_random_texts(connect):
    draw = random.Random(3)
    for _ in range(150):
        data = bytearray(draw.choice([VALID_BEFORE, KOSME, "你好\U0001f600".encode()]))
        if draw.random() < 0.7:
            data[draw.randrange(len(data))] = draw.randrange(256)
        cuts = sorted(draw.sample(range(len(data) + 1), 3))
        pieces = [bytes(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)])]
        check(connect(), bytes(data), text_in(pieces))


@pytest.mark.parametrize("rest", [b"\xf4\x90", b"\xed\xa0", b"\xff", b"\xc0"])
def test_an_invalid_text_fails_before_its_end(connect, rest):
    socket = connect()
    socket.send(frame(TEXT, KOSME, fin=False))
    socket.send(frame(CONTINUE, rest, fin=False))
    assert socket.rest() == [("close", 1007)]
