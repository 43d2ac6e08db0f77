"""Sizes, numbers and time: the Autobahn suite's sections 9 and 10 within the server's limits, and those limits."""

import socket as sockets
import threading
import time

import pytest
from raw import CONTINUE, HANDSHAKE, PING, TEXT, Raw, frame, text_in

MIB = 1 << 20


@pytest.mark.parametrize("size", [64 << 10, 256 << 10, MIB])
@pytest.mark.parametrize("piece", [None, 64, 1300, 65536])
def test_large_messages(connect, size, piece):
    text = b"*" * size
    frames = text_in([text[i:i + piece] for i in range(0, size, piece)]) if piece else [frame(TEXT, text)]
    socket = connect()
    socket.send(b"".join(frames))
    assert socket.receive() == (TEXT, text)


@pytest.mark.parametrize("chop", [128, 256, 1024, 2048])
def test_a_large_message_in_small_writes(connect, chop):
    socket = connect()
    socket.send(frame(TEXT, b"*" * MIB), chop)
    assert socket.receive() == (TEXT, b"*" * MIB)


@pytest.mark.parametrize("frames", [
    [frame(TEXT, b"*" * (MIB + 1))],
    text_in([b"*" * MIB, b"*"]),
    [b"\x81\xff" + (2 ** 63).to_bytes(8, "big") + b"mask"],
    [b"\x81\xff" + (2 ** 63 - 1).to_bytes(8, "big") + b"mask"],
    [b"\x81\xff" + (2 ** 64 - 1).to_bytes(8, "big") + b"mask"],
    [frame(TEXT, b"*", fin=False), b"\x80\xff" + (2 ** 63 - 1).to_bytes(8, "big") + b"mask"],
], ids=["a byte more", "in fragments", "2^63", "2^63-1", "2^64-1", "a continuation of 2^63-1"])
def test_larger_ones_close_with_1009(connect, echo, frames):
    before = echo.memory_kib()
    socket = connect()
    socket.send(b"".join(frames))
    assert socket.rest() == [("close", 1009)]
    assert echo.memory_kib() - before < 8 << 10


def test_150_messages_are_read_in_three_seconds(connect):
    socket = connect()
    began = time.monotonic()
    socket.send(b"".join(frame(TEXT, f"{i}") for i in range(150)))
    for i in range(150):
        assert socket.receive() == (TEXT, f"{i}".encode())
    assert 1.9 < time.monotonic() - began < 10


def test_a_flood_of_pings_is_cut_off(connect):
    socket = connect()
    socket.send(frame(PING) * 3000)
    got = socket.rest()
    assert got[-1] == ("close", 1008)
    assert len(got) < 400


def test_a_client_that_never_reads_is_given_up(own_echo):
    socket = Raw(own_echo.port)
    sender = threading.Thread(target=lambda: [socket.send(frame(TEXT, b"*" * MIB)) for _ in range(20)], daemon=True)
    sender.start()
    other = Raw(own_echo.port)
    began, slowest = time.monotonic(), 0
    while time.monotonic() - began < 15 and not own_echo.served():
        sent = time.monotonic()
        other.send(frame(TEXT, "still served"))
        assert other.receive() == (TEXT, b"still served")
        slowest = max(slowest, time.monotonic() - sent)
        time.sleep(0.05)
    assert own_echo.served()[0][0] == "101"
    assert slowest < 1
    assert own_echo.memory_kib() < 200 << 10
    socket.end()
    other.end()


def test_silence_is_asked_and_then_cut_off(own_echo):
    """The echo server pings after five seconds."""
    socket = Raw(own_echo.port)
    socket.socket.settimeout(20)
    began = time.monotonic()
    assert socket.receive() == (PING, b"")
    assert 4.5 < time.monotonic() - began < 8
    assert socket.rest() == []
    assert 9 < time.monotonic() - began < 15


def test_open_sockets_cost_little(own_echo):
    opened = [Raw(own_echo.port) for _ in range(20)]
    before = own_echo.memory_kib()
    opened += [Raw(own_echo.port) for _ in range(400)]
    each_kib = (own_echo.memory_kib() - before) / 400
    print(f"{each_kib:.1f} KiB a socket")
    assert each_kib < 32
    for socket in opened:
        socket.send(frame(TEXT, "here"))
    for socket in opened:
        assert socket.receive() == (TEXT, b"here")
        socket.end()


def test_early_bytes_are_refused(echo):
    with sockets.create_connection(("127.0.0.1", echo.port), timeout=10) as one:
        one.sendall(HANDSHAKE + frame(CONTINUE, "early"))
        assert one.recv(4096).startswith(b"HTTP/1.1 400 ")
