#include "net/request_parser.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

struct Result {
    RequestParser::State state = RequestParser::State::Header;
    int status = 0;  // of the refusal
    std::string method, target, host, body, rest;
    bool operator==(const Result&) const = default;
};

/// Feeds `text` in pieces of `step` bytes.
Result parse(std::string_view text, size_t step = SIZE_MAX) {
    RequestParser parser({.header_bytes_max = 400, .fields_max = 5, .body_bytes_max = 20});
    std::string in;
    auto state = RequestParser::State::Header;
    using State = RequestParser::State;
    while (!text.empty() && (state == State::Header || state == State::Body)) {
        const auto piece = text.substr(0, step);
        text.remove_prefix(piece.size());
        in += piece;
        state = parser.take(in);
    }
    HttpRequest& request = parser.request();
    Result out{state,
               0,
               request.method,
               request.target,
               std::string(request.header("host")),
               request.body,
               in + std::string(text)};
    if (state == State::Refused) {
        out = {};
        out.state = state;
        out.status = parser.refusal().status;
    }
    return out;
}

std::string post(const std::string& fields, const std::string& body) {
    return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
}

std::string chunked(const std::string& body) {
    return post("Transfer-Encoding: chunked\r\n", body);
}

TEST(RequestParser, ReadsWholeRequestsHoweverTheyAreSplit) {
    const auto length = post("Content-Length: 4\r\n", "bodyGET /next");
    const auto pieces = chunked("3;x=1\r\nabc\r\n1\r\nd\r\n0\r\nTrailer: t\r\n\r\nGET /next");
    for (size_t step = 1; step < 40; ++step) {
        EXPECT_EQ(parse("\r\nGET /a?b HTTP/1.0\r\n\r\n", step).target, "/a?b");
        for (const auto& [text, body] : {std::pair{length, "body"}, {pieces, "abcd"}}) {
            const auto result = parse(text, step);
            EXPECT_EQ(result.state, RequestParser::State::Done);
            EXPECT_EQ(result.body, body);
            EXPECT_EQ(result.rest, "GET /next");
        }
    }
}

TEST(RequestParser, TakesTheHostOfAnAbsoluteTarget) {
    const auto result = parse("GET http://b:1/x?y HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(result.target, "/x?y");
    EXPECT_EQ(result.host, "b:1");
    EXPECT_EQ(parse("GET HTTP://b HTTP/1.1\r\nHost: a\r\n\r\n").target, "/");
    EXPECT_EQ(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").target, "*");
}

TEST(RequestParser, RefusesWhatCouldBeReadInTwoWays) {
    const std::string get = "GET / HTTP/1.1\r\n";
    const std::string bad[] = {
        "nonsense\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\rHost: a\r\r",
        std::string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 28),
        get + "Host: a\r\nHost: a\r\n\r\n",
        get + "Host: a\r\n X: folded\r\n\r\n",
        get + "Host : a\r\n\r\n",
        get + "Host: a\r\nno colon\r\n\r\n",
        get + "Host: a\r\n: empty\r\n\r\n",
        get + "Host: a\x01\r\n\r\n",
        post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", ""),
        post("Content-Length: 4\r\nContent-Length: 4\r\n", ""),
        post("Content-Length: 4, 4\r\n", ""),
        post("Content-Length: +4\r\n", ""),
        post("Content-Length: -1\r\n", ""),
        post("Content-Length: 0x4\r\n", ""),
        post("Content-Length:\r\n", ""),
        post("Content-Length: 99999999999999999999\r\n", ""),
        post("Transfer-Encoding: gzip, chunked\r\n", ""),
        post("Transfer-Encoding: chunked, identity\r\n", ""),
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ""),
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        chunked("-2\r\nab\r\n"),
        chunked("0x2\r\nab\r\n\r\n"),
        chunked(" 2\r\nab\r\n"),
        chunked("2\nab\n0\n\n\r\n"),
        chunked("2\r\nabc\r\n0\r\n\r\n"),
        chunked("\r\n"),
        chunked("10000000000000002\r\nab\r\n"),
        chunked("2;" + std::string(9000, 'x')),
    };
    for (const auto& text : bad)
        for (const size_t step : {SIZE_MAX, size_t{1}}) {
            const auto result = parse(text, step);
            EXPECT_EQ(result.state, RequestParser::State::Refused) << text << step;
            EXPECT_EQ(result.status, 400) << text;
        }
}

TEST(RequestParser, KeepsItsLimits) {
    EXPECT_EQ(parse(post("X: " + std::string(500, 'x'), "")).status, 431);
    EXPECT_EQ(parse(std::string(1000, 'x')).status, 431);
    EXPECT_EQ(parse(post("A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n", "")).status, 0);
    EXPECT_EQ(parse(post("A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n", "")).status, 431);
    EXPECT_EQ(parse(post("Content-Length: 20\r\n", std::string(20, 'x'))).status, 0);
    EXPECT_EQ(parse(post("Content-Length: 21\r\n", "")).status, 413);
    EXPECT_EQ(parse(chunked("a\r\n0123456789\r\nb\r\n")).status, 413);
    EXPECT_EQ(parse(chunked("fffffffffffffff\r\n")).status, 413);
    EXPECT_EQ(parse(post("Expect: tea\r\n", "")).status, 417);
}

}  // namespace
}  // namespace dunlin
