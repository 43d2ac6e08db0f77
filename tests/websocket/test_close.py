"""Closing: the Autobahn suite's section 7."""

import pytest
from raw import CONTINUE, PING, TEXT, close, frame


@pytest.mark.parametrize("after", [b"", close(1000), frame(PING), frame(TEXT, "late"), frame(TEXT, "la", fin=False),
                                   frame(3), b"\xff" * 40])
def test_nothing_after_a_close_counts(connect, after):
    socket = connect()
    socket.send(frame(TEXT, "Hello"))
    assert socket.receive() == (TEXT, b"Hello")
    socket.send(close(1000) + after)
    assert socket.rest() == [("close", 1000)]


def test_a_close_within_a_message(connect):
    socket = connect()
    socket.send(frame(TEXT, "frag", fin=False) + close(1000) + frame(CONTINUE, "ment"))
    assert socket.rest() == [("close", 1000)]


def test_a_close_after_a_large_message(connect):
    socket = connect()
    socket.send(frame(TEXT, "BAsd7&jh23" * 26214) + close(1000) + frame(PING))
    got = socket.rest()
    assert got[-1] == ("close", 1000)


def test_an_empty_close_is_answered(connect):
    socket = connect()
    socket.send(close())
    assert socket.rest() in ([("close", 1000)], [("close", None)])


@pytest.mark.parametrize("payload", [b"x", b"\x03\xe8\xff", b"\x03\xe8" + "κό".encode()[:3], b"\x03\xe8" + b"x" * 124])
def test_broken_closes(connect, payload):
    socket = connect()
    socket.send(frame(8, payload))
    assert socket.rest() == [("close", 1002)]


@pytest.mark.parametrize("reason", [b"", b"Hello World!", b"*" * 123, "κόσμε".encode()])
def test_reasons(connect, reason):
    socket = connect()
    socket.send(close(1000, reason))
    assert socket.rest() == [("close", 1000)]


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
def test_codes_that_a_client_may_send(connect, code):
    socket = connect()
    socket.send(close(code))
    assert socket.rest() == [("close", code)]


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999])
def test_codes_that_it_may_not(connect, code):
    socket = connect()
    socket.send(close(code))
    assert socket.rest() == [("close", 1002)]


def test_the_server_closes(connect):
    socket = connect()
    socket.send(frame(TEXT, "close 4401 because of κόσμε"))
    opcode, payload = socket.receive()
    assert (opcode, payload) == (8, b"\x11\x31" + "because of κόσμε".encode())
    socket.send(frame(TEXT, "crossing") + close(4401))
    assert socket.rest() == []
