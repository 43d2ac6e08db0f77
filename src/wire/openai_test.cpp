#include "wire/openai.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

std::string chat_with(const std::string& member) {
    return R"({"messages":[{"role":"user","content":"hi"}],)" + member + "}";
}

std::string refused_param(const std::string& member) {
    const auto request = parse_request(chat_with(member), Dialect::Chat, {});
    return request ? "accepted" : request.error().param;
}

TEST(Parameters, RefuseBadValuesByName) {
    for (const auto& row : request_parameters()) {
        if (!row.in(Dialect::Chat) || row.type == Parameter::Type::Ignored) continue;
        if (row.name == "messages") continue;
        const std::string name(row.name);
        const bool takes_object = row.type == Parameter::Type::Object;
        const std::string wrong = takes_object ? "[1]" : R"({"a":1})";
        EXPECT_EQ(refused_param('"' + name + "\":" + wrong), name);
        EXPECT_EQ(refused_param('"' + name + "\":null"), "accepted") << name;
        if (row.type != Parameter::Type::Number && row.type != Parameter::Type::Integer) continue;
        EXPECT_EQ(refused_param('"' + name + "\":1e30"), name);
        EXPECT_EQ(refused_param('"' + name + "\":-1e30"), name);
    }
    EXPECT_EQ(refused_param(R"("n":1.5)"), "n");
    EXPECT_EQ(refused_param(R"("stop":[""])"), "stop");
    EXPECT_EQ(refused_param(R"("logit_bias":{"x":1})"), "logit_bias");
    EXPECT_EQ(refused_param(R"("logit_bias":{"1":101})"), "logit_bias");
    EXPECT_EQ(refused_param(R"("top_logprobs":2)"), "top_logprobs");
}

TEST(Parameters, RefuseWhatIsNotSupported) {
    for (const auto& row : request_parameters()) {
        if (row.type != Parameter::Type::Refused) continue;
        const std::string name(row.name);
        const auto with = [&](const Json& value) {
            return (row.in(Dialect::Chat)
                        ? chat_with('"' + name + "\":" + *write_json(value))
                        : R"({"prompt":"x",")" + name + "\":" + *write_json(value) + "}");
        };
        const auto dialect = row.in(Dialect::Chat) ? Dialect::Chat : Dialect::Completions;
        for (const Json& value : *read_json(row.default_json)->array())
            EXPECT_TRUE(parse_request(with(value), dialect, {})) << name;
        for (const Json& value :
             {Json("x"), Json(1), Json(true), Json(Json::Object{}), Json(Json::Array{1})}) {
            const auto request = parse_request(with(value), dialect, {});
            ASSERT_FALSE(request) << name;
            EXPECT_EQ(request.error().param, name);
        }
    }
    EXPECT_EQ(refused_param(R"("response_format":{"type":"json_object"})"), "response_format");
    EXPECT_EQ(refused_param(R"("tools":[{"type":"function"}])"), "tools");
    EXPECT_EQ(refused_param(R"("tool_choice":"auto")"), "tool_choice");
}

TEST(Parameters, StrictnessRefusesWhatHasNoEffect) {
    EXPECT_EQ(refused_param(R"("user":"u","strict_params":false)"), "accepted");
    EXPECT_EQ(refused_param(R"("user":"u","strict_params":true)"), "user");
    EXPECT_EQ(refused_param(R"("odd":1,"strict_params":true)"), "odd");
    EXPECT_EQ(refused_param(R"("strict_params":true)"), "accepted");
}

TEST(Parameters, SchemasAreJsonAndKnowEveryRow) {
    for (const auto dialect : {Dialect::Chat, Dialect::Completions}) {
        const Json schema = parameters_schema(dialect);
        const Json* properties = schema.find("properties");
        for (const auto& row : request_parameters())
            EXPECT_EQ(properties->find(row.name) != nullptr, row.in(dialect)) << row.name;
    }
}

TEST(Requests, CheckFieldsTogether) {
    const auto param = [](const char* more) {
        const auto request =
            parse_request(std::string(R"({"prompt":"x",)") + more + "}", Dialect::Completions, {});
        return request ? "accepted" : request.error().param;
    };
    EXPECT_EQ(param(R"("n":2,"best_of":2)"), "accepted");
    EXPECT_EQ(param(R"("n":2,"best_of":3)"), "best_of");
    EXPECT_EQ(param(R"("best_of":2)"), "best_of");
    EXPECT_EQ(param(R"("echo":true)"), "accepted");
    EXPECT_EQ(param(R"("echo":true,"logprobs":0)"), "echo");
}

TEST(Requests, ReadChat) {
    const auto request = parse_request(
        R"({"messages":[{"role":"developer","content":[{"type":"text","text":"a"},
            {"type":"text","text":"b"}]},{"role":"assistant","content":null,"name":"x","tool_calls":[]}],
            "max_tokens":9,"max_completion_tokens":5,"stop":"x","seed":-1,"logprobs":true,
            "top_logprobs":3,"logit_bias":{"7":-100},"user":"u","nonsense":1,
            "stream_options":{"odd":1}})",
        Dialect::Chat, {});
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_EQ(request->messages[0].role, "system");
    EXPECT_EQ(request->messages[0].content, "ab");
    EXPECT_EQ(request->max_tokens, 5U);
    EXPECT_EQ(request->stop, std::vector<std::string>{"x"});
    EXPECT_EQ(request->seed, UINT64_MAX);
    EXPECT_EQ(request->logprobs, 3U);
    EXPECT_EQ(request->logit_bias[0].first, 7);
    EXPECT_EQ(request->ignored, (std::vector<std::string>{"user", "nonsense", "stream_options.odd",
                                                          "stream_options", "messages.name"}));
}

TEST(Requests, NameTheBadMessage) {
    const auto param = [](const char* messages) {
        const auto request =
            parse_request(std::string(R"({"messages":)") + messages + "}", Dialect::Chat, {3});
        return request ? "accepted" : request.error().param;
    };
    EXPECT_EQ(param("[]"), "messages");
    EXPECT_EQ(param("[1]"), "messages.[0].role");
    EXPECT_EQ(param(R"([{"role":"king"}])"), "messages.[0].role");
    EXPECT_EQ(param(R"([{"role":"user","content":5}])"), "messages.[0].content");
    EXPECT_EQ(param(R"([{"role":"user","content":[{"type":"image_url"}]}])"),
              "messages.[0].content.[0].type");
    EXPECT_EQ(param(R"([{"role":"user"}])"), "messages.[0].content");
    EXPECT_EQ(param(R"([{"role":"assistant","tool_calls":[{}]}])"), "messages.[0].tool_calls");
    EXPECT_EQ(param(R"([{"role":"assistant","audio":{}}])"), "messages.[0].audio");
    EXPECT_EQ(param(R"([{"role":"user","content":"äöü"}])"), "accepted");
    EXPECT_EQ(param(R"([{"role":"user","content":"äöüx"}])"), "messages.[0].content");
}

TEST(Requests, ReadPrompts) {
    const auto prompt = [](const std::string& text) {
        return parse_request(R"({"prompt":)" + text + '}', Dialect::Completions, {});
    };
    EXPECT_EQ(std::get<0>(prompt(R"("a")")->prompts.at(0)), "a");
    EXPECT_EQ(std::get<0>(prompt(R"(["a","b"])")->prompts.at(1)), "b");
    EXPECT_EQ(std::get<1>(prompt("[1,2]")->prompts.at(0)), (std::vector<int32_t>{1, 2}));
    EXPECT_EQ(std::get<1>(prompt("[[1],[2]]")->prompts.at(1)), (std::vector<int32_t>{2}));
    for (const char* bad : {R"(["a",1])", "[-1]", "[1.5]", "[[1],2]", R"(["a",[1]])", "{}", "null",
                            "[true]", "[]", "[[]]", "[null]", "[[[1]]]", R"([["a"]])"})
        EXPECT_FALSE(prompt(bad)) << bad;
    std::string many = R"("a")";
    for (int i = 1; i < 32; ++i) many += R"(,"a")";
    EXPECT_TRUE(prompt('[' + many + R"(],"n":2)"));
    EXPECT_FALSE(prompt('[' + many + R"(],"n":3)"));
}

TEST(Text, CountsAndMendsUtf8) {
    EXPECT_EQ(count_characters("aé\xF0\x9F\x98\x80"), 3U);
    EXPECT_EQ(lossy_utf8("a\xF0\x9F\"\xC3\xA9\\"), "a\xEF\xBF\xBD\xEF\xBF\xBD\"\xC3\xA9\\");
}

}  // namespace
}  // namespace dunlin
