"""A WebSocket client by hand, which sends exactly the bytes that a case is about."""

import os
import socket
import struct

CONTINUE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
HANDSHAKE = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


def frame(opcode, payload=b"", fin=True, rsv=0, masked=True):
    """One frame; `rsv` are the three reserved bits as a number."""
    if isinstance(payload, str):
        payload = payload.encode()
    size = len(payload)
    head = bytes([fin << 7 | rsv << 4 | opcode])
    mask_bit = masked << 7
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 1 << 16:
        head += struct.pack("!BH", mask_bit | 126, size)
    else:
        head += struct.pack("!BQ", mask_bit | 127, size)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(a ^ b for a, b in zip(payload, (key * (size // 4 + 1))[:size]))


def close(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def text_in(pieces):
    """The frames of one text message that comes in these pieces."""
    last = len(pieces) - 1
    return [frame(CONTINUE if i else TEXT, piece, fin=i == last) for i, piece in enumerate(pieces)]


class Raw:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(HANDSHAKE)
        self.input = b""
        while b"\r\n\r\n" not in self.input:
            part = self.socket.recv(4096)
            assert part, self.input
            self.input += part
        head, self.input = self.input.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101 "), head

    def send(self, data, chop=None):
        """`chop`: bytes at a time."""
        try:
            for at in range(0, len(data), chop or len(data) or 1):
                self.socket.sendall(data[at:at + chop] if chop else data)
        except OSError:
            pass  # the server, or the test, may have closed before all was sent

    def _take(self, size):
        while len(self.input) < size:
            try:
                part = self.socket.recv(1 << 20)
            except ConnectionResetError:
                return None
            if not part:
                return None
            self.input += part
        out, self.input = self.input[:size], self.input[size:]
        return out

    def receive(self):
        """(opcode, payload) of the next frame, or None where the connection has ended."""
        head = self._take(2)
        if head is None:
            return None
        assert head[0] & 0x70 == 0 and head[0] & 0x80 and not head[1] & 0x80, "a plain whole frame"
        size = head[1] & 0x7f
        if size >= 126:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        payload = self._take(size)
        return None if payload is None else (head[0] & 15, payload)

    def rest(self):
        """All frames until the connection ends, with close frames as ("close", code)."""
        out = []
        while (one := self.receive()) is not None:
            opcode, payload = one
            if opcode == CLOSE:
                out.append(("close", int.from_bytes(payload[:2], "big") if payload else None))
            else:
                out.append((opcode, payload))
        return out

    def end(self):
        self.socket.close()
