// The protocol: handshakes, frames, closes, and everything that a client may do wrong.
#include <random>

#include "net/websocket_test_client.h"

namespace dunlin::websocket_test {
namespace {

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != text.npos;
}

TEST_F(WebSocketTest, AnswersTheHandshakeOfTheSpecification) {
    Client client(listener_->port());
    std::string request = Client::handshake();
    request.insert(request.size() - 2, "Sec-WebSocket-Protocol: dunlin.chat.v1\r\n");
    request.insert(request.size() - 2, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    ASSERT_TRUE(client.send_bytes(request));
    const auto head = client.read_head();
    EXPECT_TRUE(has(head, "HTTP/1.1 101 ")) << head;
    EXPECT_TRUE(has(head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")) << head;
    EXPECT_TRUE(has(head, "Sec-WebSocket-Protocol: dunlin.chat.v1\r\n")) << head;
    EXPECT_TRUE(has(head, "x-request-id: req-")) << head;
    EXPECT_FALSE(has(head, "Extensions")) << head;
    EXPECT_TRUE(client.send_bytes(text_frame("hello")));
    EXPECT_EQ(client.read_text(), "hello");
    EXPECT_EQ(*listener_->websockets(), 1U);
    client.send_bytes(close_frame(1000));
    EXPECT_EQ(client.read_close(), 1000);
    EXPECT_TRUE(eventually([&] { return served_count_ == 1; }));
    EXPECT_EQ(status_, 101);
    EXPECT_EQ(bytes_, 5U);
    EXPECT_EQ(*listener_->websockets(), 0U);
}

TEST_F(WebSocketTest, RefusesBadHandshakesInWords) {
    Client old(listener_->port());
    old.send_bytes(Client::handshake("/", "8"));
    const auto head = old.read_head();
    EXPECT_TRUE(has(head, "HTTP/1.1 426 Upgrade Required\r\n")) << head;
    EXPECT_TRUE(has(head, "Sec-WebSocket-Version: 13\r\n")) << head;
    EXPECT_TRUE(has(head, "Upgrade: websocket\r\n")) << head;
    EXPECT_TRUE(old.sees_end());
    Client plain(listener_->port());
    plain.send_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(has(plain.read_head(), "HTTP/1.1 426 "));
    Client head_only(listener_->port());
    head_only.send_bytes("HEAD" + Client::handshake().substr(3));
    EXPECT_TRUE(has(head_only.read_head(), "HTTP/1.1 400 "));
    EXPECT_TRUE(eventually([&] { return served_count_ == 3; }));
    EXPECT_EQ(status_, 400);
}

TEST_F(WebSocketTest, RefusesBytesBeforeItsAnswer) {
    Client client(listener_->port());
    client.send_bytes(Client::handshake() + text_frame("early"));
    EXPECT_TRUE(has(client.read_head(), "HTTP/1.1 400 "));
    EXPECT_TRUE(client.sees_end());
    EXPECT_EQ(room()->count(), 0U);
}

TEST_F(WebSocketTest, TakesMessagesOfEverySizeHoweverTheyAreSplit) {
    std::mt19937 draw(7);
    for (const size_t size : {0, 1, 125, 126, 127, 65535, 65536, 1 << 20}) {
        Client client(listener_->port());
        client.open();
        std::string text(size, 'a');
        for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
        const std::string bytes_sent = text_frame(text);
        const size_t part_max = size <= 127 ? 1 : 50000;  // byte by byte, or in random parts
        for (size_t at = 0; at < bytes_sent.size();) {
            const size_t part = 1 + draw() % part_max;
            ASSERT_TRUE(client.send_bytes(std::string_view(bytes_sent).substr(at, part)));
            if (part_max == 1) std::this_thread::sleep_for(std::chrono::microseconds(300));
            at += part;
        }
        EXPECT_EQ(client.read_text(), text) << size;
    }
}

TEST_F(WebSocketTest, JoinsFragmentsAndAnswersPingsBetweenThem) {
    Client client(listener_->port());
    client.open();
    client.send_bytes(client_frame(kText, "one, "));
    client.send_bytes(client_frame(0x80 | kPing, "still there?"));
    client.send_bytes(client_frame(0, ""));
    client.send_bytes(client_frame(0, "zw\xc3"));  // a character in two frames
    client.send_bytes(client_frame(0x80 | kPong, "unasked"));
    client.send_bytes(client_frame(0x80, "\xb6lf"));
    const auto pong = client.read_frame();
    ASSERT_TRUE(pong);
    EXPECT_EQ(pong->opcode, kPong);
    EXPECT_EQ(pong->payload, "still there?");
    EXPECT_EQ(client.read_text(), "one, zwölf");
}

TEST_F(WebSocketTest, TakesAMessageOfFragmentsOfOneByte) {
    Client client(listener_->port());
    client.open();
    const std::string text(1 << 20, 'y');
    std::string frames = client_frame(kText, "y");
    for (size_t i = 1; i < text.size(); ++i) frames += client_frame(0, "y");
    std::jthread sender([&] { client.send_bytes(frames + client_frame(0x80, "")); });
    Client other(listener_->port());
    other.open();
    const auto began = SteadyClock::now();
    other.send_bytes(text_frame("meanwhile"));
    EXPECT_EQ(other.read_text(), "meanwhile");
    EXPECT_LT(SteadyClock::now() - began, seconds(1));
    EXPECT_TRUE(eventually([&] { return room()->count() == 2; }, seconds(30)));
    sender.join();
}

/// What the client sends, and the code that the server closes with.
struct Breach {
    std::string bytes;
    int code;
};

std::vector<Breach> breaches() {
    const std::string big(1 << 20, 'z');
    std::vector<Breach> all = {
        {client_frame(0x80 | kText, "x", false), 1002},
        {client_frame(0x80 | kClose, "\x03\xe8", false), 1002},
        {client_frame(0x80, "nothing to continue"), 1002},
        {client_frame(kText, "a") + client_frame(kText, "b"), 1002},
        {client_frame(kPing, ""), 1002},  // in fragments
        {client_frame(0x80 | kPing, std::string(126, 'p')), 1002},
        {client_frame(0x80 | kClose, std::string(126, 'p')), 1002},
        {std::string("\x81\xff\x80\0\0\0\0\0\0\0abcd", 14), 1009},  // 2^63 bytes
        {std::string("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                     "abcd",
                     14),
         1009},
        {std::string("\x81\xfe\0\x01"
                     "abcdx",
                     9),
         1002},  // longer than it must be
        {std::string("\x81\xff\0\0\0\0\0\0\0\x01"
                     "abcdx",
                     15),
         1002},
        {client_frame(0x80 | kBinary, "x"), 1003},
        {client_frame(0x80 | kBinary, ""), 1003},
        {text_frame("\xff"), 1007},
        {text_frame("\xc3"), 1007},              // half a character
        {text_frame("\xed\xa0\x80"), 1007},      // a surrogate
        {text_frame("\xf4\x90\x80\x80"), 1007},  // beyond U+10FFFF
        {text_frame("\xc0\xaf"), 1007},          // overlong
        {client_frame(kText, "abc\xc3") + client_frame(0x80, ""), 1007},
        {client_frame(kText, "\xf0\x9f\x98") + client_frame(0, "") + client_frame(0x80, ""), 1007},
        {client_frame(kText, "abc\xf4\x90"), 1007},  // before the message's end
        {text_frame(big + "!"), 1009},
        {client_frame(kText, big) + client_frame(0x80, "!"), 1009},
        {client_frame(0x80 | kClose, "x"), 1002},  // half a code
        {close_frame(1000, "\xff"), 1002},
    };
    for (const int reserved : {0x40, 0x20, 0x10, 0x70})
        all.push_back({client_frame(0x80 | reserved | kText, "x"), 1002});
    for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15})
        all.push_back({client_frame(0x80 | opcode, ""), 1002});
    for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999})
        all.push_back({close_frame(code), 1002});
    return all;
}

TEST_F(WebSocketTest, ClosesWithTheRightCodeWhereTheProtocolIsBroken) {
    int number = 0;
    for (const auto& [sent, code] : breaches()) {
        Client client(listener_->port());
        client.open();
        client.send_bytes(text_frame("before"));
        EXPECT_EQ(client.read_text(), "before") << number;
        client.send_bytes(sent + text_frame("after"));
        EXPECT_EQ(client.read_close(), code) << number;
        EXPECT_TRUE(client.sees_end()) << number;
        client.leave();
        EXPECT_TRUE(eventually([&] { return served_count_ == number + 1; })) << number;
        EXPECT_EQ(room()->count(), static_cast<size_t>(++number)) << "took the message after it";
    }
}

TEST_F(WebSocketTest, RepeatsTheClientsCloseCode) {
    for (const int code :
         {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999}) {
        Client client(listener_->port());
        client.open();
        client.send_bytes(close_frame(code, "bye"));
        EXPECT_EQ(client.read_close(), code);
        EXPECT_TRUE(client.sees_end());
    }
    Client client(listener_->port());
    client.open();
    client.send_bytes(client_frame(0x80 | kClose, "") + text_frame("after") +
                      client_frame(0x80 | kPing, "after"));
    EXPECT_EQ(client.read_close(), 1000);
    EXPECT_TRUE(client.sees_end());
    EXPECT_EQ(room()->count(), 0U);
}

TEST_F(WebSocketTest, ClosesAsThePeerSays) {
    Client client(listener_->port());
    client.open();
    room()->change([](Room& room) {
        room.out = {"last words"};
        room.ended = true;
        room.code = 4401;
        room.reason = std::string(122, 'r') + "ö and more";
    });
    EXPECT_EQ(client.read_text(), "last words");
    std::string reason;
    EXPECT_EQ(client.read_close(&reason), 4401);
    EXPECT_EQ(reason, std::string(122, 'r'));  // whole characters that fit into a frame
    client.send_bytes(text_frame("crossing") + close_frame(4401));
    EXPECT_TRUE(client.sees_end());
    EXPECT_EQ(room()->count(), 0U);
}

TEST_F(WebSocketTest, EndsWhereBothSidesCloseAtOnce) {
    for (int i = 0; i < 50; ++i) {
        const auto one = room("/" + std::to_string(i));
        Client client(listener_->port());
        client.open("/" + std::to_string(i));
        std::jthread peer([&] { one->change([](Room& room) { room.ended = true; }); });
        client.send_bytes(close_frame(1000));
        EXPECT_EQ(client.read_close(), 1000);
        EXPECT_TRUE(client.sees_end());
    }
}

TEST_F(WebSocketTest, DoesNotWaitForAClientThatNeverCloses) {
    Client client(listener_->port());
    client.open();
    const auto began = SteadyClock::now();
    room()->change([](Room& room) { room.ended = true; });
    EXPECT_EQ(client.read_close(), 1000);
    EXPECT_TRUE(client.sees_end());
    EXPECT_LT(SteadyClock::now() - began, seconds(5));
    Client closes_only(listener_->port());
    room("/other");
    closes_only.open("/other");
    closes_only.send_bytes(close_frame(1000));
    EXPECT_TRUE(eventually([&] { return room("/other")->peers == 0; }, seconds(5)));
}

TEST_F(WebSocketTest, SeesClientsLeaveWithoutAWord) {
    for (const auto& half : {"", "\x81", "\x81\xfe\x10", "\x81\x85"})
        for (const bool reset : {false, true}) {
            Client client(listener_->port());
            client.open();
            client.send_bytes(half);
            client.leave(reset);
            EXPECT_TRUE(eventually([&] { return room()->peers == 0; }));
        }
    Client half_open(listener_->port());
    half_open.open();
    half_open.end_sending();
    EXPECT_TRUE(half_open.sees_end());
    EXPECT_TRUE(eventually([&] { return served_count_ == 9; }));
    EXPECT_EQ(status_, 101);
}

TEST_F(WebSocketTest, SurvivesRandomBytes) {
    std::mt19937 draw(11);
    for (int i = 0; i < 200; ++i) {
        Client client(listener_->port());
        client.open();
        std::string noise = i % 2 == 0 ? "" : text_frame("begins well");
        for (int frame = 0; frame < 50; ++frame) {
            std::string payload(draw() % 40, '\0');
            for (char& c : payload) c = static_cast<char>(draw());
            noise += client_frame(static_cast<int>(draw() % 256), payload, draw() % 8 != 0);
        }
        client.send_bytes(noise);
        client.end_sending();
        EXPECT_TRUE(client.sees_end()) << i;
    }
}

}  // namespace
}  // namespace dunlin::websocket_test
