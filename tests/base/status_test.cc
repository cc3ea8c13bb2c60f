// Status, Result and system_error().
#include "base/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace tutti {
namespace {

TEST(Status, TheDefaultIsOkWithoutAMessage) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), Code::kOk);
  EXPECT_TRUE(status.message().empty());
}

TEST(Status, CarriesCodeAndSentence) {
  const Status status(Code::kTimeout, "waited");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.code(), Code::kTimeout);
  EXPECT_EQ(status.message(), "waited");
}

TEST(Status, CodesAreTheApisOwn) {
  EXPECT_EQ(static_cast<int>(Code::kOk), tuttiSuccess);
  EXPECT_EQ(static_cast<int>(Code::kRemote), tuttiRemoteError);
  EXPECT_EQ(static_cast<int>(Code::kAborted), tuttiAborted);
}

TEST(Status, ASystemErrorSaysWhatAndWhy) {
  const Status status = system_error("open the door", ENOENT);
  EXPECT_EQ(status.code(), Code::kSystem);
  EXPECT_EQ(status.message(), "cannot open the door: No such file or directory");
}

TEST(Result, HoldsAValue) {
  Result<std::string> result(std::string("text"));
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result.status().ok());
  EXPECT_EQ(*result, "text");
  EXPECT_EQ(result->size(), 4U);
}

TEST(Result, HoldsAnError) {
  const Result<int> result(Status(Code::kRemote, "gone"));
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kRemote);
  EXPECT_EQ(result.status().message(), "gone");
}

TEST(Result, GivesUpAMoveOnlyValue) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(3));
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 3);
}

}  // namespace
}  // namespace tutti
