"""The web page as HTTP sees it: what is served, with which headers, and that it needs no other host."""

import re
import urllib.request

import pytest

from test_server import request


@pytest.fixture
def page(server):
    answer, text = request(server, "GET", "/")
    assert answer.status == 200
    return text


def assets(page):
    found = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(found) >= 3
    return found


def test_headers_of_the_page(server):
    for method in ("GET", "HEAD"):
        answer, text = request(server, method, "/")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
        assert policy == {
            "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:",
            "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}
        assert int(answer.headers["Content-Length"]) > 500
        assert (text == "") == (method == "HEAD")


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere(page):
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|//", page.replace("<!doctype html>", ""))
    assert all(re.fullmatch(r'<script type="module" crossorigin src="/assets/[^"]+">', tag)
               for tag in re.findall(r"<script[^>]*>", page))


def test_assets_are_kept_for_ever(server, page):
    types = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
    for path in assets(page):
        name = re.fullmatch(r"/assets/\w+-[\w-]{8}\.(\w+)", path)
        assert name, path
        answer, text = request(server, "GET", path)
        assert answer.status == 200 and text
        assert answer.headers["Content-Type"] == types[name[1]]
        assert answer.headers["Cache-Control"] == "max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert request(server, "GET", "/assets/nothing.js")[0].status == 404


def test_a_post_to_the_page_is_refused(server):
    assert request(server, "POST", "/", "x")[0].status in (404, 405)


def test_page_requests_are_counted_by_few_routes(server, page):
    for path in assets(page):
        request(server, "GET", path)
    with urllib.request.urlopen(server.url + "/metrics", timeout=10) as answer:
        routes = set(re.findall(r'dunlin_http_requests_total{[^}]*route="([^"]*)"', answer.read().decode()))
    assert {"/", "/assets"} <= routes
    assert not any(route.startswith("/assets/") for route in routes)
