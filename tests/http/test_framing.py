"""Raw bytes that clients, proxies and attackers send: the right code, and the server goes on."""

import re
import socket
import time

import pytest
from conftest import fake_only

pytestmark = fake_only
HOST = "Host: localhost\r\n"
BODY = '{"messages":[{"role":"user","content":"Hi"}],"max_tokens":1}'
GET = f"GET /health HTTP/1.1\r\n{HOST}"
POST = f"POST /chat/completions HTTP/1.1\r\n{HOST}"
END = "Connection: close\r\n\r\n"


def sized(body=BODY, fields=""):
    return f"{POST}{fields}Content-Length: {len(body)}\r\n{END}{body}"


def chunks(*parts, fields="", last="0\r\n\r\n"):
    return f"{POST}{fields}Transfer-Encoding: chunked\r\n{END}" + "".join(
        f"{len(p):x}\r\n{p}\r\n" for p in parts) + last


def coded(body, fields="Transfer-Encoding: chunked\r\n"):
    return f"{POST}{fields}{END}{body}"


ACCEPTED = {
    "plain": GET + END,
    "http 1.0": "GET /health HTTP/1.0\r\n\r\n",
    "http 1.0 with host": f"GET /health HTTP/1.0\r\n{HOST}\r\n",
    "empty line first": "\r\n" + GET + END,
    "absolute target": f"GET http://localhost/health HTTP/1.1\r\n{HOST}{END}",
    "absolute target, upper case": f"GET HTTP://LOCALHOST/health HTTP/1.1\r\n{HOST}{END}",
    "query": f"GET /health?a=b&c HTTP/1.1\r\n{HOST}{END}",
    "head": f"HEAD /health HTTP/1.1\r\n{HOST}{END}",
    "options": f"OPTIONS /health HTTP/1.1\r\n{HOST}{END}",
    "options *": f"OPTIONS * HTTP/1.1\r\n{HOST}{END}",
    "100 fields": GET + "".join(f"X-{i}: 1\r\n" for i in range(98)) + END,
    "tabs around a value": GET + "X:\t 1 \t\r\n" + END,
    "obs-text in a value": GET + "X: \x80\xff\r\n" + END,
    "empty value": GET + "X:\r\n" + END,
    "length": sized(),
    "length with zeros": f"{POST}Content-Length: 000{len(BODY)}\r\n{END}{BODY}",
    "length zero": f"{GET}Content-Length: 0\r\n{END}",
    "one chunk": chunks(BODY),
    "a chunk a byte": chunks(*BODY),
    "chunk extension": coded(f"{len(BODY):x};a=b;c=\"d\"\r\n{BODY}\r\n0;x\r\n\r\n"),
    "chunk size in capitals": coded(f"{len(BODY):X}\r\n{BODY}\r\n0\r\n\r\n"),
    "chunk size with zeros": coded(f"000{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n"),
    "trailer": chunks(BODY, last="0\r\nX-Sum: 1\r\n\r\n"),
    "coding in capitals": coded(f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n", "transfer-encoding: CHUNKED\r\n"),
    "any content type": sized(fields="Content-Type: text/plain\r\n"),
    "charset": sized(fields="Content-Type: application/json; charset=utf-8\r\n"),
    "identity content coding": sized(fields="Content-Encoding: identity\r\n"),
}

REFUSED = {
    # smuggling: two readings of one request
    "CL and TE": (400, coded(f"5\r\nabcde\r\n0\r\n\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
    "TE and CL": (400, coded(f"5\r\nabcde\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")),
    "two equal lengths": (400, sized(fields=f"Content-Length: {len(BODY)}\r\n")),
    "two lengths": (400, sized(fields="Content-Length: 1\r\n")),
    "a list of lengths": (400, f"{POST}Content-Length: 5, 5\r\n{END}abcde"),
    "two codings": (400, coded("0\r\n\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
    "coding list": (400, coded("0\r\n\r\n", "Transfer-Encoding: gzip, chunked\r\n")),
    "coding identity": (400, coded("0\r\n\r\n", "Transfer-Encoding: identity\r\n")),
    "coding not last": (400, coded("0\r\n\r\n", "Transfer-Encoding: chunked, identity\r\n")),
    "coding misspelt": (400, coded("0\r\n\r\n", "Transfer-Encoding: xchunked\r\n")),
    "coding quoted": (400, coded("0\r\n\r\n", 'Transfer-Encoding: "chunked"\r\n')),
    "coding with a vertical tab": (400, coded("0\r\n\r\n", "Transfer-Encoding: \x0bchunked\r\n")),
    "coding, space before colon": (400, coded("0\r\n\r\n", "Transfer-Encoding : chunked\r\n")),
    "coding in a folded field": (400, coded("0\r\n\r\n", "X: y\r\n Transfer-Encoding: chunked\r\n")),
    "coding in HTTP/1.0": (400, "POST /completions HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    # lengths
    "length negative": (400, f"{POST}Content-Length: -1\r\n{END}"),
    "length with plus": (400, f"{POST}Content-Length: +5\r\n{END}abcde"),
    "length in hex": (400, f"{POST}Content-Length: 0x5\r\n{END}abcde"),
    "length a fraction": (400, f"{POST}Content-Length: 5.0\r\n{END}abcde"),
    "length with a space": (400, f"{POST}Content-Length: 1 5\r\n{END}abcde"),
    "length empty": (400, f"{POST}Content-Length:\r\n{END}"),
    "length above 64 bits": (400, f"{POST}Content-Length: 18446744073709551621\r\n{END}abcde"),
    "length above the limit": (413, f"{POST}Content-Length: 16777217\r\n{END}"),
    "length 2^63": (413, f"{POST}Content-Length: 9223372036854775808\r\n{END}"),
    # chunks
    "chunk -2": (400, coded("-2\r\nab\r\n0\r\n\r\n")),
    "chunk +2": (400, coded("+2\r\nab\r\n0\r\n\r\n")),
    "chunk 0x2": (400, coded("0x2\r\nab\r\n0\r\n\r\n")),
    "chunk with a space": (400, coded(" 2\r\nab\r\n0\r\n\r\n")),
    "chunk without a size": (400, coded("\r\nab\r\n0\r\n\r\n")),
    "chunk, no hex": (400, coded("g\r\nab\r\n0\r\n\r\n")),
    "chunk longer than said": (400, coded("2\r\nabc\r\n0\r\n\r\n")),
    "chunk shorter than said": (400, coded("4\r\nab\r\n0\r\n\r\n\r\n\r\n")),
    "chunk size above 64 bits": (400, coded("10000000000000002\r\nab\r\n0\r\n\r\n")),
    "chunk of 2^63": (413, coded("8000000000000000\r\nab")),
    "chunk of 2^64-1": (413, coded("ffffffffffffffff\r\nab")),
    "chunk above the limit": (413, coded("1000001\r\nab")),
    "chunks above the limit": (413, coded(f"fffff0\r\n{'x' * 0xfffff0}\r\n11\r\n")),
    "chunk size line without end": (400, coded("2;" + "x" * 20000)),
    "chunk extension broken": (400, coded("2;=\r\nab\r\n0\r\n\r\n")),
    "trailer broken": (400, coded("0\r\nno colon\r\n\r\n")),
    "chunks with bare line feeds": (400, coded("2\nab\n0\n\n\r\n\r\n")),
    # lines
    "bare LF": (400, f"GET /health HTTP/1.1\nHost: a\n\n"),
    "bare LF in one field": (400, f"{GET}X: 1\nY: 2\r\n{END}"),
    "bare CR": (400, "GET /health HTTP/1.1\rHost: a\r\r"),
    "CR in a value": (400, f"{GET}X: a\rb\r\n{END}"),
    "NUL in a value": (400, f"{GET}X: a\0b\r\n{END}"),
    "NUL in the target": (400, f"GET /hea\0lth HTTP/1.1\r\n{HOST}{END}"),
    "NUL in a name": (400, f"{GET}X\0: a\r\n{END}"),
    "DEL in a value": (400, f"{GET}X: a\x7fb\r\n{END}"),
    "escape in a value": (400, f"{GET}X: \x1b[31m\r\n{END}"),
    "folded field": (400, f"{GET}X: a\r\n b\r\n{END}"),
    "first line folded": (400, f"GET /health HTTP/1.1\r\n X: 1\r\n{HOST}{END}"),
    "field without colon": (400, f"{GET}nocolon\r\n{END}"),
    "field without name": (400, f"{GET}: x\r\n{END}"),
    "space in a name": (400, f"{GET}X Y: 1\r\n{END}"),
    "umlaut in a name": (400, f"{GET}\xfc: 1\r\n{END}"),
    "two hosts": (400, f"{GET}Host: b\r\n{END}"),
    "no host": (400, "GET /health HTTP/1.1\r\n\r\n"),
    # request lines
    "nonsense": (400, "nonsense\r\n\r\n"),
    "empty method": (400, f" /health HTTP/1.1\r\n{HOST}{END}"),
    "method with a separator": (400, f"G@T /health HTTP/1.1\r\n{HOST}{END}"),
    "two spaces": (400, f"GET  /health HTTP/1.1\r\n{HOST}{END}"),
    "a tab": (400, f"GET\t/health HTTP/1.1\r\n{HOST}{END}"),
    "space in the target": (400, f"GET /hea lth HTTP/1.1\r\n{HOST}{END}"),
    "HTTP/0.9": (400, "GET /health\r\n\r\n"),
    "HTTP/2.0": (400, f"GET /health HTTP/2.0\r\n{HOST}{END}"),
    "HTTP/2 preface": (400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/1.2": (400, f"GET /health HTTP/1.2\r\n{HOST}{END}"),
    "HTTP/11.1": (400, f"GET /health HTTP/11.1\r\n{HOST}{END}"),
    "http/1.1": (400, f"GET /health http/1.1\r\n{HOST}{END}"),
    "ICY/1.1": (400, f"GET /health ICY/1.1\r\n{HOST}{END}"),
    "no version": (400, f"GET /health HTTP/\r\n{HOST}{END}"),
    "target without slash": (400, f"GET health HTTP/1.1\r\n{HOST}{END}"),
    "authority target": (400, f"CONNECT localhost:80 HTTP/1.1\r\n{HOST}{END}"),
    "another scheme": (400, f"GET ftp://localhost/health HTTP/1.1\r\n{HOST}{END}"),
    "star for GET": (400, f"GET * HTTP/1.1\r\n{HOST}{END}"),
    "TLS hello": (400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\0" * 64),
    # limits
    "header of 32 KiB + 1": (431, GET + "X: " + "x" * 32769),
    "request line of 40 KiB": (431, f"GET /{'x' * 40000} HTTP/1.1\r\n{HOST}{END}"),
    "101 fields": (431, GET + "".join(f"X-{i}: 1\r\n" for i in range(99)) + END),
    "10,000 fields": (431, GET + "X: 1\r\n" * 10000 + END),
    "another Expect": (417, sized(fields="Expect: a-teapot\r\n")),
    "gzip body": (415, sized(fields="Content-Encoding: gzip\r\n")),
    # routes
    "path traversal": (404, f"GET /v1/../health HTTP/1.1\r\n{HOST}{END}"),
    "encoded traversal": (404, f"GET /v1/%2e%2e/health HTTP/1.1\r\n{HOST}{END}"),
    "two slashes": (404, f"GET //health HTTP/1.1\r\n{HOST}{END}"),
    "slash at the end": (404, f"GET /health/ HTTP/1.1\r\n{HOST}{END}"),
    "capitals": (404, f"GET /HEALTH HTTP/1.1\r\n{HOST}{END}"),
    "broken escape": (404, f"GET /models/%zz HTTP/1.1\r\n{HOST}{END}"),
    "TRACE": (405, f"TRACE /health HTTP/1.1\r\n{HOST}{END}"),
    "unknown method": (405, f"BREW /health HTTP/1.1\r\n{HOST}{END}"),
    "lower-case method": (405, f"get /health HTTP/1.1\r\n{HOST}{END}"),
}


def send(server, text):
    answer = server.raw(text.encode("latin-1")).decode("latin-1")
    found = re.match(r"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n", answer)
    assert found, answer
    return int(found[1]), answer


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(server, name):
    status, answer = send(server, ACCEPTED[name])
    assert status in (200, 204), answer


@pytest.mark.parametrize("name", REFUSED)
def test_refused(server, name):
    wanted, text = REFUSED[name]
    status, answer = send(server, text)
    assert status == wanted, answer
    assert answer.count("HTTP/1.1 ") == 1, "one request, one answer"
    assert '"error":{"message":' in answer and "x-request-id: " in answer


def test_split_anywhere(server):
    text = (GET + END).encode()
    for at in range(1, len(text), 7):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as one:
            one.sendall(text[:at])
            time.sleep(0.005)
            one.sendall(text[at:])
            assert one.recv(65536).startswith(b"HTTP/1.1 200")


def test_pipelined(server):
    answer = server.raw((GET + "\r\n").encode() * 200 + (GET + END).encode())
    assert answer.count(b"HTTP/1.1 200 OK") == 201


def test_pipelined_bodies_stay_apart(server):
    one = f"{POST}Content-Length: {len(BODY)}\r\n\r\n{BODY}"
    answer = server.raw((one * 5 + GET + END).encode())
    assert answer.count(b"HTTP/1.1 200 OK") == 6 and answer.count(b"chat.completion") == 5


def test_expect_continue(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as one:
        one.sendall(sized(fields="Expect: 100-continue\r\n").removesuffix(BODY).encode())
        assert one.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.sendall(BODY.encode())
        assert one.recv(65536).startswith(b"HTTP/1.1 200")
    refused = f"{POST}Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"
    assert server.raw(refused.encode()).startswith(b"HTTP/1.1 413")


def test_connection_closes_after_a_refusal(server):
    text = f"{POST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde{GET}{END}"
    assert send(server, text)[1].count("HTTP/1.1 ") == 1


def test_every_request_is_counted_once(own_server):
    texts = [GET + END, sized(), REFUSED["bare LF"][1], REFUSED["TRACE"][1],
             REFUSED["length above the limit"][1], REFUSED["101 fields"][1], REFUSED["gzip body"][1]]

    def others():
        """All but the scrapes."""
        return (own_server.metric("dunlin_http_requests_total", method="GET") +
                own_server.metric("dunlin_http_requests_total", method="POST") +
                own_server.metric("dunlin_http_requests_total", method="other") -
                own_server.metric("dunlin_http_requests_total", route="/metrics"))
    before = others() + 1  # a scrape is counted after it was answered
    for text in texts:
        send(own_server, text)
    with socket.create_connection(("127.0.0.1", own_server.port)) as one:
        one.sendall(GET.encode())  # and leaves in the middle
    for status in (400, 405, 413, 415, 431, 499):
        assert own_server.eventually(
            lambda: own_server.metric("dunlin_http_requests_total", status=status) == 1), status
    assert others() + 1 - before == len(texts) + 1
    assert own_server.metric("dunlin_errors_total") == 5
    log = own_server.output()
    for status in (400, 405, 413, 415, 431, 499):
        assert len(re.findall(rf"\bstatus=\"?{status}\b", log)) == 1, log
