// Time and load: slow readers, fast senders, silence, and a server that stops.
#include "net/websocket_test_client.h"

namespace dunlin::websocket_test {
namespace {

TEST_F(WebSocketTest, CarriesManyMessagesInOrder) {
    Client client(listener_->port());
    client.open();
    std::jthread feeder([this] {
        for (int i = 0; i < 20000; ++i) room()->say(std::to_string(i));
    });
    for (int i = 0; i < 20000; ++i) ASSERT_EQ(client.read_text(), std::to_string(i));
}

TEST_F(WebSocketTest, ASlowReaderIsNotReadAheadForAndSlowsNobody) {
    const auto flood = room("/flood");
    flood->flood_bytes = 32 << 10;
    Client slow(listener_->port(), 4096);
    slow.open("/flood");
    EXPECT_TRUE(eventually([&] { return flood->pulled > 0; }));
    Client other(listener_->port());
    other.open();
    const auto began = SteadyClock::now();
    for (int i = 0; i < 20; ++i) {
        const auto sent = SteadyClock::now();
        other.send_bytes(text_frame("quick"));
        ASSERT_EQ(other.read_text(), "quick");
        EXPECT_LT(SteadyClock::now() - sent, milliseconds(500));
    }
    // What the kernel's buffers hold, at most; then the client is given up.
    EXPECT_TRUE(eventually([&] { return flood->peers == 0; }, seconds(5)));
    EXPECT_GE(SteadyClock::now() - began, milliseconds(500));
    EXPECT_LT(flood->pulled, 16U << 20);
}

TEST_F(WebSocketTest, ReadsNoMoreThanFiftyMessagesASecond) {
    Client hasty(listener_->port());
    hasty.open();
    room("/other")->echoes = true;
    Client other(listener_->port());
    other.open("/other");
    std::string many;
    for (int i = 0; i < 130; ++i) many += text_frame(std::to_string(i));
    const auto began = SteadyClock::now();
    hasty.send_bytes(many);
    other.send_bytes(text_frame("not slowed"));
    EXPECT_EQ(other.read_text(), "not slowed");
    EXPECT_LT(SteadyClock::now() - began, milliseconds(500));
    for (int i = 0; i < 130; ++i) {
        ASSERT_EQ(hasty.read_text(), std::to_string(i));
        const auto passed = SteadyClock::now() - began;
        if (i >= 50) EXPECT_GE(passed, milliseconds(i >= 100 ? 2000 : 1000)) << i;
    }
    EXPECT_LT(SteadyClock::now() - began, seconds(5));
}

TEST_F(WebSocketTest, GivesUpAClientThatSendsNothingButPings) {
    Client client(listener_->port());
    client.open();
    std::string pings;
    for (int i = 0; i < 40; ++i) pings += client_frame(0x80 | kPing, "p");
    client.send_bytes(pings);
    for (int i = 0; i < 40; ++i) EXPECT_EQ(client.read_frame()->opcode, kPong);
    for (int i = 0; i < 100; ++i) client.send_bytes(pings);
    EXPECT_EQ(client.read_close(), 1008);
    EXPECT_TRUE(client.sees_end());
}

TEST_F(WebSocketTest, PingsSilentClientsAndCutsOffThoseThatDoNotAnswer) {
    listener_->stop(0);
    start({.write_timeout_s = 5, .ping_s = 1});
    Client dead(listener_->port()), live(listener_->port());
    dead.open("/dead");
    live.open("/live");
    const auto began = SteadyClock::now();
    for (int i = 0; i < 3; ++i) {
        const auto ping = live.read_frame();
        ASSERT_TRUE(ping);
        EXPECT_EQ(ping->opcode, kPing);
        live.send_bytes(client_frame(0x80 | kPong, ping->payload));
    }
    EXPECT_GE(SteadyClock::now() - began, milliseconds(2900));
    EXPECT_EQ(room("/dead")->peers, 0);
    live.send_bytes(text_frame("here"));
    EXPECT_EQ(live.read_text(), "here");
    EXPECT_EQ(dead.read_close(), 1006);
}

TEST_F(WebSocketTest, AnIdleSocketDoesNotHoldUpTheEnd) {
    Client client(listener_->port());
    client.open();
    std::jthread reader([&] {
        std::string reason;
        EXPECT_EQ(client.read_close(&reason), 1001);
        EXPECT_EQ(reason, "the server stops");
        client.send_bytes(close_frame(1001));
        EXPECT_TRUE(client.sees_end());
    });
    const auto began = SteadyClock::now();
    listener_->stop(20'000'000);
    EXPECT_LT(SteadyClock::now() - began, seconds(2));
    reader.join();
    EXPECT_EQ(served_count_, 1);
    EXPECT_EQ(status_, 101);
}

TEST_F(WebSocketTest, AFrozenClientDoesNotHoldUpTheEnd) {
    Client client(listener_->port());
    client.open();
    const auto began = SteadyClock::now();
    listener_->stop(20'000'000);
    EXPECT_LT(SteadyClock::now() - began, seconds(5));
    EXPECT_EQ(client.read_close(), 1001);
}

TEST_F(WebSocketTest, AnAnswerUnderWayMayFinishWhileTheServerStops) {
    Client client(listener_->port());
    client.open();
    room()->change([](Room& room) { room.busy = true; });
    client.send_bytes(text_frame("a question"));
    EXPECT_EQ(client.read_text(), "a question");
    std::jthread answers([this] {
        std::this_thread::sleep_for(milliseconds(300));
        room()->say("an answer");
        std::this_thread::sleep_for(milliseconds(300));
        room()->change([](Room& room) {
            room.out.emplace_back("its end");
            room.busy = false;
        });
    });
    std::jthread reader([&] {
        EXPECT_EQ(client.read_text(), "an answer");
        EXPECT_EQ(client.read_text(), "its end");
        EXPECT_EQ(client.read_close(), 1001);
        client.send_bytes(close_frame(1001));
    });
    const auto began = SteadyClock::now();
    listener_->stop(20'000'000);
    EXPECT_GE(SteadyClock::now() - began, milliseconds(550));
    EXPECT_LT(SteadyClock::now() - began, seconds(5));
}

TEST_F(WebSocketTest, TheEndComesWithTheDrainTimeForAnAnswerThatDoesNotFinish) {
    Client client(listener_->port());
    room()->busy = true;
    client.open();
    EXPECT_TRUE(eventually([&] { return room()->peers == 1; }));
    const auto began = SteadyClock::now();
    listener_->stop(300'000);
    EXPECT_GE(SteadyClock::now() - began, milliseconds(290));
    EXPECT_LT(SteadyClock::now() - began, seconds(3));
}

}  // namespace
}  // namespace dunlin::websocket_test
