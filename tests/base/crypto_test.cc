// HMAC-SHA-256 against RFC 4231, and random bytes.
#include "base/crypto.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>

namespace tutti {
namespace {

std::string hex(const Mac& mac) {
  std::string text;
  for (const std::byte b : mac) {
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

// HMAC pads keys with zeros up to 64 bytes, so the RFC's shorter keys are keys of 32 bytes too.
Key key_of(const std::string& bytes) {
  Key key{};
  std::memcpy(key.data(), bytes.data(), bytes.size());
  return key;
}

std::string hmac(const Key& key, const std::string& message) {
  return hex(hmac_sha256(key, std::as_bytes(std::span(message))));
}

TEST(Crypto, HmacMatchesRfc4231) {
  EXPECT_EQ(hmac(key_of(std::string(20, '\x0b')), "Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hmac(key_of("Jefe"), "what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hmac(key_of(std::string(20, '\xaa')), std::string(50, '\xdd')),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
}

TEST(Crypto, HmacOfNothing) {
  EXPECT_EQ(hmac(Key{}, ""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Crypto, EqualMacsLooksAtEveryByte) {
  const Mac mac = hmac_sha256(Key{}, {});
  EXPECT_TRUE(equal_macs(mac, mac));
  for (size_t i = 0; i < mac.size(); ++i) {
    Mac other = mac;
    other[i] ^= std::byte{1};
    EXPECT_FALSE(equal_macs(mac, other)) << i;
  }
}

TEST(Crypto, RandomBytesDiffer) {
  std::set<Key> drawn;
  for (int i = 0; i < 64; ++i) {
    Key key{};
    ASSERT_TRUE(random_bytes(key).ok());
    EXPECT_TRUE(drawn.insert(key).second);
  }
}

}  // namespace
}  // namespace tutti
