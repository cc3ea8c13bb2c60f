// Keys from secrets: equal for the same words, different for any other, guessable only without a secret.
#include "launch/secret.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/fd.h"

namespace tutti {
namespace {

Key key_of(const std::string& secret, const std::string& place) {
  const Result<DerivedKey> key = derive_key(secret, place);
  EXPECT_TRUE(key.ok()) << key.status().message();
  EXPECT_EQ(key.value().weak, secret.empty());
  return key.value().key;
}

TEST(Secret, TheSameWordsGiveTheSameKeyAndOthersAnother) {
  EXPECT_EQ(key_of("word", "h:1"), key_of("word", "h:1"));
  EXPECT_EQ(key_of("", "h:1"), key_of("", "h:1"));
  const Key keys[] = {key_of("word", "h:1"), key_of("word", "h:2"), key_of("word2", "h:1"),
                      key_of("wordh", ":1"), key_of("", "h:1"),     key_of("", "h:2")};
  for (size_t i = 0; i < std::size(keys); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_NE(keys[i], keys[j]) << i << " " << j;
  }
}

TEST(Secret, AFileHoldsTheSecretButNotItsNewline) {
  char path[] = "/tmp/tutti-secret-XXXXXX";
  const Fd fd(mkstemp(path));
  ASSERT_TRUE(fd);
  std::ofstream(path) << "word\n";
  EXPECT_EQ(key_of(std::string("@") + path, "h:1"), key_of("word", "h:1"));
  std::ofstream(path, std::ios::trunc) << "\n";
  EXPECT_EQ(derive_key(std::string("@") + path, "h:1").status().code(), Code::kInvalidUsage);
  unlink(path);
  const Status gone = derive_key(std::string("@") + path, "h:1").status();
  EXPECT_EQ(gone.code(), Code::kInvalidUsage);
  EXPECT_NE(gone.message().find(path), std::string::npos) << gone.message();
  EXPECT_NE(gone.message().find("TUTTI_SECRET"), std::string::npos);
}

}  // namespace
}  // namespace tutti
