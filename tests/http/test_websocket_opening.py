"""Who may open the chat WebSocket, and what others are told."""

import pytest

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def opening(server, *, origin=None, host="localhost", version="13", upgrade="websocket", key=KEY):
    """The status line and the rest of the answer."""
    lines = ["GET /chat/ws HTTP/1.1", f"Host: {host}", "Connection: Upgrade", f"Sec-WebSocket-Version: {version}",
             f"Sec-WebSocket-Key: {key}", f"Upgrade: {upgrade}", "Sec-WebSocket-Protocol: dunlin.chat.v1"]
    if origin is not None:
        lines.append(f"Origin: {origin}")
    answer = server.raw("\r\n".join([*lines, "", ""]).encode(), wait_s=1).decode(errors="replace")
    status, _, rest = answer.partition("\r\n")
    return int(status.split()[1]), rest


@pytest.mark.parametrize("origin", [None, "http://localhost", "http://LOCALHOST:3000", "http://127.0.0.1:5173",
                                    "http://[::1]:3000"])
def test_this_machine_may_open_it(server, origin):
    assert opening(server, origin=origin)[0] == 101


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://localhost.evil.example", "file://",
                                    "http://evil.localhost", "http://localhost@evil.example", "http://127.0.0.1.nip.io",
                                    "localhost", "http://", "http://xlocalhost", "chrome-extension://abc"])
def test_other_sites_may_not(server, origin):
    status, rest = opening(server, origin=origin)
    assert status == 403 and "Origin" in rest


def test_a_rebound_name_may_not(server):
    assert opening(server, host="rebound.example")[0] == 403


def test_broken_handshakes_are_told_what_is_wrong(server):
    before = server.metric("dunlin_http_requests_total", route="/chat/ws", status="426")
    status, rest = opening(server, version="8")
    assert status == 426 and "Sec-WebSocket-Version: 13" in rest and '"upgrade_required"' in rest
    assert opening(server, upgrade="h2c")[0] == 426
    status, rest = opening(server, key="short")
    assert status == 400 and "Sec-WebSocket-Key" in rest
    assert server.eventually(
        lambda: server.metric("dunlin_http_requests_total", route="/chat/ws", status="426") == before + 2)
