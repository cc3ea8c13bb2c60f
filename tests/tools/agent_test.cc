// What tutti-run tells its agent and what that answers: everything comes out as it went in, and nothing else is taken.
#include "tools/agent.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

namespace tutti::run {
namespace {

// As through a pipe that ends behind `bytes`; `rest` is what the reader left.
Result<AgentOrder> read_from_pipe(const std::string& bytes, std::string* rest = nullptr) {
  int ends[2];
  if (pipe(ends) != 0) return Status(Code::kSystem, "pipe");
  const Fd in(ends[0]);
  std::thread writer([bytes, fd = ends[1]] {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t n = write(fd, bytes.data() + at, bytes.size() - at);
      if (n <= 0) break;
      at += static_cast<size_t>(n);
    }
    close(fd);
  });
  Result<AgentOrder> order = read_order(in.get());
  std::string left;
  char buffer[4096];
  for (ssize_t n; (n = read(in.get(), buffer, sizeof buffer)) > 0;) left.append(buffer, static_cast<size_t>(n));
  if (rest != nullptr) *rest = left;
  writer.join();
  return order;
}

AgentOrder some_order() {
  return {.ranks = 9,
          .first = 3,
          .count = 4,
          .pin = "auto",
          .keep_going = true,
          .prefix_output = false,
          .unique_id_hex = "0123",
          .folder = "/a b",
          .command = {"sh", "", "a\nb\0c", std::string(100000, 'x')},
          .environment = {"A=1:2,3", "B="}};
}

TEST(AgentOrder, ArrivesAsItWasSentAndNoByteMoreIsRead) {
  std::string rest;
  const Result<AgentOrder> order = read_from_pipe(encode_order(some_order()) + "signal 15\n", &rest);
  ASSERT_TRUE(order.ok()) << order.status().message();
  EXPECT_EQ(rest, "signal 15\n");
  EXPECT_EQ(encode_order(order.value()), encode_order(some_order()));
  EXPECT_EQ(order.value().command, some_order().command);
  EXPECT_EQ(order.value().environment, some_order().environment);
  EXPECT_EQ(order.value().first, 3);
}

TEST(AgentOrder, WhatIsNoneIsRefused) {
  const std::string good = encode_order({.ranks = 2, .count = 2, .pin = "no", .command = {"true"}});
  ASSERT_TRUE(read_from_pipe(good).ok());
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(read_from_pipe(good.substr(0, size)).ok()) << size;
  for (const std::string& bad :
       {std::string("999999999:"), std::string("99999999999999999999:x,"), std::string("-1:,"), std::string("5:hello,") + good, std::string(100000, '0'),
        std::string("17:tutti-run agent 2,") + good, encode_order({.ranks = 2, .first = 1, .count = 2, .command = {"true"}}),
        encode_order({.ranks = 1, .count = 0, .command = {"true"}}), encode_order({.ranks = 1, .count = 1})}) {
    EXPECT_FALSE(read_from_pipe(bad).ok()) << bad.substr(0, 80);
  }
}

TEST(AgentNotice, IsCutOffTheLine) {
  const std::string text = encode_notice({.kind = Notice::Kind::kFailed, .rank = 7, .wait_status = 0x0100});
  std::string line = "half a line" + text.substr(0, text.size() - 1);
  const std::optional<Notice> notice = take_notice(line);
  ASSERT_TRUE(notice.has_value());
  EXPECT_EQ(line, "half a line");
  EXPECT_EQ(notice->kind, Notice::Kind::kFailed);
  EXPECT_EQ(notice->rank, 7);
  EXPECT_EQ(notice->wait_status, 0x0100);
  for (std::string other : {"started", "tutti-run: done", "", "\x1etutti-run: failed x 1", "\x1etutti-run: ?"})
    EXPECT_FALSE(take_notice(other).has_value());
}

}  // namespace
}  // namespace tutti::run
