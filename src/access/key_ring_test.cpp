#include "access/key_ring.h"

#include <set>

#include <gtest/gtest.h>

#include "access/client_bucket.h"
#include "access/owner.h"

namespace dunlin {
namespace {

using Standing = KeyRing::Standing;

TEST(Sha256, IsTheStandardsOwn) {
    EXPECT_EQ(to_hex(sha256("abc")),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(from_hex(to_hex(sha256("abc"))), sha256("abc"));
    EXPECT_EQ(from_hex("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"),
              sha256("abc"));
    for (const char* bad : {"", "ba78", "g"}) EXPECT_FALSE(from_hex(bad));
    EXPECT_FALSE(from_hex(std::string(64, 'g')));
    EXPECT_FALSE(from_hex(std::string(65, 'a')));
}

TEST(HmacSha256, IsTheStandardsOwn) {
    // RFC 4231, 4.3, with its key "Jefe"; HMAC fills a short key up with zeros.
    const Bytes32 secret{'J', 'e', 'f', 'e'};
    EXPECT_EQ(to_hex(hmac_sha256(secret, "what do ya want for nothing?")),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(KeyRing, KnowsItsKeysOnly) {
    const KeyRing ring({{"a", sha256("key-a"), true, 7},
                        {"b", sha256("key-b"), false, 0},
                        {"c", sha256("key-c"), true, 0}});
    const auto a = ring.find("key-a");
    EXPECT_EQ(a.standing, Standing::Enabled);
    ASSERT_NE(a.key, nullptr);
    EXPECT_EQ(a.key->name, "a");
    EXPECT_EQ(a.key->requests_per_minute, 7U);
    EXPECT_EQ(ring.find("key-c").key->name, "c");
    EXPECT_EQ(ring.find("key-b").standing, Standing::Disabled);
    EXPECT_EQ(ring.find("key-b").key->name, "b");
    for (const std::string& wrong :
         {std::string(), std::string("key-"), std::string("key-a "), std::string("KEY-A"),
          std::string("key-a\0", 6), to_hex(sha256("key-a")), std::string(kKeyBytesMax + 1, 'k')}) {
        EXPECT_EQ(ring.find(wrong).standing, Standing::Unknown);
        EXPECT_EQ(ring.find(wrong).key, nullptr);
    }
    EXPECT_EQ(KeyRing({}).find("key-a").standing, Standing::Unknown);
}

TEST(NewKey, IsLongAndNeverTheSame) {
    std::set<std::string> keys;
    for (int i = 0; i < 1000; ++i) {
        const std::string key = new_key();
        EXPECT_EQ(key.size(), 46U);
        EXPECT_TRUE(key.starts_with("dl-"));
        EXPECT_EQ(key.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                        "0123456789-_"),
                  std::string::npos);
        keys.insert(key);
    }
    EXPECT_EQ(keys.size(), 1000U);
}

TEST(PrefixDomain, IsOneForEachOwner) {
    EXPECT_EQ(prefix_domain("a"), prefix_domain("a"));
    EXPECT_EQ(prefix_domain(""), prefix_domain(""));
    EXPECT_NE(prefix_domain("a"), prefix_domain("b"));
    EXPECT_NE(prefix_domain("a"), prefix_domain(""));
    EXPECT_NE(prefix_domain(""), Digest{});
}

TEST(ClientBucket, IsAnAddressOrItsNetwork) {
    EXPECT_EQ(client_bucket("192.168.1.5"), "192.168.1.5");
    EXPECT_EQ(client_bucket("::ffff:192.168.1.5"), "192.168.1.5");
    EXPECT_EQ(client_bucket("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    EXPECT_EQ(client_bucket("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
    EXPECT_NE(client_bucket("2001:db8:1:3::1"), client_bucket("2001:db8:1:2::1"));
    EXPECT_EQ(client_bucket("fe80::1%eth0"), "fe80::/64");
    EXPECT_EQ(client_bucket("::1"), "::/64");
    EXPECT_EQ(client_bucket(""), "");
}

}  // namespace
}  // namespace dunlin
