"""Framing, pings, reserved bits, opcodes and fragments: what the Autobahn suite asks in its sections 1 to 5.

Binary messages are refused with 1003 by choice. Each case is sent at once, frame by frame, and byte by byte.
"""

import pytest
from raw import BINARY, CONTINUE, PING, PONG, TEXT, close, frame, text_in

CHOPS = ["at once", "by frames", "by bytes"]


def say(socket, frames, chop):
    if chop == "by frames":
        for one in frames:
            socket.send(one)
    else:
        socket.send(b"".join(frames), 1 if chop == "by bytes" else None)


def texts(got):
    return [payload for opcode, payload in got if opcode == TEXT]


# 1: messages of many sizes
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65535, 65536])
@pytest.mark.parametrize("chop", [None, 997])
def test_texts_come_back(connect, size, chop):
    socket = connect()
    socket.send(frame(TEXT, b"*" * size), chop)
    assert socket.receive() == (TEXT, b"*" * size)
    socket.send(close(1000))
    assert socket.rest() == [("close", 1000)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65536])
def test_binary_messages_are_refused(connect, size):
    socket = connect()
    socket.send(frame(BINARY, b"\xfe" * size))
    got = socket.receive()
    assert got[0] == 8 and got[1][:2] == b"\x03\xeb"


# 2: pings and pongs
@pytest.mark.parametrize("payload", [b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125])
@pytest.mark.parametrize("chop", [None, 1])
def test_pings_are_answered_with_their_payload(connect, payload, chop):
    socket = connect()
    socket.send(frame(PING, payload), chop)
    assert socket.receive() == (PONG, payload)


def test_unasked_pongs_are_ignored(connect):
    socket = connect()
    socket.send(frame(PONG) + frame(PONG, "unsolicited") + frame(PING, "after"))
    assert socket.receive() == (PONG, b"after")


@pytest.mark.parametrize("chop", [None, 1])
def test_ten_pings_have_ten_pongs(connect, chop):
    socket = connect()
    socket.send(b"".join(frame(PING, f"payload-{i}") for i in range(10)), chop)
    assert [socket.receive() for _ in range(10)] == [(PONG, f"payload-{i}".encode()) for i in range(10)]


# 2.5, 3, 4, 5: everything that fails the connection
HELLO = frame(TEXT, "Hello, world!")
BROKEN = {
    "a long ping": [frame(PING, b"\xfe" * 126)],
    "a long close": [frame(8, b"\x03\xe8" + b"x" * 124)],
    "an unmasked text": [frame(TEXT, "Hello", masked=False)],
    "an unmasked ping": [frame(PING, "Hello", masked=False)],
    **{f"reserved bits {rsv} in {name}": [frame(opcode, "", rsv=rsv)]
       for rsv in range(1, 8) for name, opcode in [("a text", TEXT), ("a ping", PING), ("a close", 8)]},
    **{f"opcode {opcode} {payload}": [frame(opcode, payload)]
       for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15) for payload in ("", "with a payload")},
    "a ping in fragments": [frame(PING, "frag", fin=False), frame(CONTINUE, "ment")],
    "a pong in fragments": [frame(PONG, "frag", fin=False), frame(CONTINUE, "ment")],
    "a continuation of nothing": [frame(CONTINUE, "no start")],
    "an open continuation of nothing": [frame(CONTINUE, "no start", fin=False)],
    "a continuation after the end": text_in(["frag", "ment"]) + [frame(CONTINUE, "more", fin=False)],
    "two beginnings": [frame(TEXT, "frag", fin=False), frame(TEXT, "ment")],
    "reserved bits in a continuation": [frame(TEXT, "a", fin=False), frame(CONTINUE, "b", rsv=4)],
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("chop", CHOPS)
def test_breaches_close_with_1002(connect, name, chop):
    socket = connect()
    say(socket, [HELLO], chop)
    assert socket.receive() == (TEXT, b"Hello, world!")
    say(socket, BROKEN[name] + [HELLO, frame(PING)], chop)
    got = socket.rest()
    assert got[-1] == ("close", 1002)
    # What was whole before the breach may have come back, and nothing after it.
    assert texts(got) in ([], [b"fragment"])


# 5: fragments
GOOD = {
    "two fragments": (text_in(["frag", "ment1"]), [b"fragment1"]),
    "a ping between": ([frame(TEXT, "frag", fin=False), frame(PING, "p"), frame(CONTINUE, "ment")], [b"fragment"]),
    "five, and pings": ([frame(TEXT, "1", fin=False), frame(CONTINUE, "2", fin=False), frame(PING, "a"),
                         frame(CONTINUE, "3", fin=False), frame(CONTINUE, "4", fin=False), frame(PING, "b"),
                         frame(CONTINUE, "5")], [b"12345"]),
    "empty ones": (text_in(["", "", ""]), [b""]),
    "empty around": (text_in(["", "middle", ""]), [b"middle"]),
    "messages in a row": (text_in(["a", "b"]) + [frame(TEXT, "c")] + text_in(["", "d"]), [b"ab", b"c", b"d"]),
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("chop", CHOPS)
def test_fragments_are_joined(connect, name, chop):
    frames, expected = GOOD[name]
    socket = connect()
    say(socket, frames, chop)
    got = []
    while len(texts(got)) < len(expected):
        got.append(socket.receive())
    assert texts(got) == expected
    pings = sum(1 for one in frames if one[0] & 15 == PING)
    assert sum(1 for opcode, _ in got if opcode == PONG) == pings
