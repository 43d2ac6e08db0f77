#include "json/json.h"

#include <limits>

#include <gtest/gtest.h>

namespace dunlin {
namespace {

std::string round_trip(std::string_view text) {
    const auto value = read_json(text);
    return value ? *write_json(*value) : "refused: " + value.error().message;
}

TEST(Json, KeepsValuesAndOrder) {
    for (const char* text :
         {"null", "true", "[]", "{}", R"({"b":1,"a":[-2,18446744073709551615,"x"]})",
          R"("\n\"\\\u0001é")", "0.7", "-9223372036854775808", "1e+300", "[0.1,5e-324]"})
        EXPECT_EQ(round_trip(text), text);
    EXPECT_EQ(round_trip(R"("\ud83d\ude00")"), "\"\xF0\x9F\x98\x80\"");
}

TEST(Json, RefusesWhatIsNotJson) {
    for (const char* text : {"", "{", "[1,]", "nul", "1 2", "NaN", "Infinity", "1e999", "-1e999",
                             R"("\ud83d")", "\"\xff\"", R"({"a":1,"a":2})", "// c\n1", "'a'"})
        EXPECT_FALSE(read_json(text)) << text;
}

TEST(Json, LimitsDepthSizeAndCount) {
    const auto nested = [](size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    EXPECT_TRUE(read_json(nested(64)));
    EXPECT_FALSE(read_json(nested(65)));
    EXPECT_FALSE(read_json(nested(1'000'000)));
    EXPECT_EQ(read_json("[1,2]", {.bytes_max = 4}).error().code, Code::TooLarge);
    EXPECT_TRUE(read_json("[1,2]", {.values_max = 3}));
    EXPECT_FALSE(read_json("[1,2]", {.values_max = 2}));
}

TEST(Json, SaysWhere) {
    const auto value = read_json("{\n \"a\": tru\n}");
    ASSERT_FALSE(value);
    EXPECT_NE(value.error().message.find("line 2"), std::string::npos) << value.error().message;
}

TEST(Json, RefusesToWriteNonFinite) {
    EXPECT_FALSE(write_json(std::numeric_limits<double>::quiet_NaN()));
    EXPECT_FALSE(write_json(Json::Array{-std::numeric_limits<double>::infinity()}));
}

TEST(Json, IntegersAreExact) {
    int64_t i = 0;
    EXPECT_TRUE(read_json("5.0")->to_int64(i));
    EXPECT_EQ(i, 5);
    EXPECT_FALSE(read_json("5.5")->to_int64(i));
    EXPECT_FALSE(read_json("18446744073709551615")->to_int64(i));
    EXPECT_FALSE(read_json("\"5\"")->to_int64(i));
    EXPECT_EQ(read_json("1.7976931348623157e308")->number(), 1.7976931348623157e308);
}

}  // namespace
}  // namespace dunlin
