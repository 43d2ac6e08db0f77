"""A client that people use: the websockets library."""

import asyncio
import contextlib
import time

import pytest
import websockets
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect


def test_it_opens_talks_and_closes(echo):
    with connect(echo.url, compression="deflate") as socket:
        assert socket.protocol.extensions == []
        assert socket.response.headers["x-request-id"].startswith("req-")
        for text in ("", "Hello", "κόσμε \U0001f600", "x" * (1 << 20)):
            socket.send(text)
            assert socket.recv(timeout=10) == text
        socket.send(["in ", "three ", "pieces"])
        assert socket.recv(timeout=10) == "in three pieces"
        assert socket.ping().wait(10)
    assert socket.close_code == 1000


def test_it_hears_why_the_server_closes(echo):
    with connect(echo.url) as socket:
        socket.send("close 4401 no valid key")
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            socket.recv(timeout=10)
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "no valid key")
    with connect(echo.url) as socket:
        socket.send(b"bytes")
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            socket.recv(timeout=10)
        assert closed.value.rcvd.code == 1003
    with connect(echo.url) as socket:
        socket.send("x" * ((1 << 20) + 1))
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            socket.recv(timeout=10)
        assert closed.value.rcvd.code == 1009


def test_a_hundred_at_once(echo):
    async def one(number):
        async with connect_async(echo.url) as socket:
            for i in range(20):
                await socket.send(f"{number}:{i}")
                assert await socket.recv() == f"{number}:{i}"

    async def all_of_them():
        await asyncio.wait_for(asyncio.gather(*(one(n) for n in range(100))), 60)
    asyncio.run(all_of_them())


def test_the_server_says_goodbye_when_it_stops(own_echo):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect(own_echo.url)) for _ in range(20)]
        assert own_echo.stop() < 5
        for socket in sockets:
            with pytest.raises(websockets.ConnectionClosedOK) as closed:
                socket.recv(timeout=5)
            assert closed.value.rcvd.code == 1001
    served = own_echo.served()
    assert served == [["101", "0"]] * 20


def test_each_socket_is_served_once(own_echo):
    with connect(own_echo.url) as socket:
        socket.send("12345")
        socket.recv(timeout=10)
        assert own_echo.served() == []
    deadline = time.monotonic() + 5
    while not own_echo.served() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert own_echo.served() == [["101", "5"]]
