// TCP connections under strain: kernel buffers of a few KiB, so that every frame is cut somewhere; big slots; many FIFOs on few sockets;
// frames that no honest peer sends; resets and ends without a goodbye; an address that swallows packets.
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <functional>
#include <optional>

#include "base/control_loop.h"
#include "tests/transports/traffic.h"
#include "transports/tcp/address.h"
#include "transports/tcp/connection.h"

namespace tutti {
namespace {

constexpr FifoShapes kBigShapes = {.inlined = {.slots = 8, .capacity = 4096, .payload_offset = 8},
                                   .staged = {.slots = 3, .capacity = 1 << 20, .payload_offset = 64}};

template <size_t buffer_bytes, int sockets>
Result<std::unique_ptr<Transport>> make(int rank, int nranks, const FifoShapes& shapes, const Key& key) {
  return make_tcp_transport(rank, nranks, shapes, {.interfaces = "lo", .sockets = sockets, .buffer_bytes = buffer_bytes}, key,
                            test_budget());
}

// Smaller ones make the kernel itself stall: it opens a window of a few hundred bytes only when a timer asks for it.
constexpr TransportFixture kTiny = {"tiny_buffers", make<8192, 2>};
constexpr TransportFixture kOneSocket = {"one_socket", make<0, 1>};
constexpr TransportFixture kEightSockets = {"eight_sockets", make<0, 8>};

void run(const TransportFixture& fixture, int nranks, const FifoShapes& shapes, const std::function<void(TestRank&)>& body) {
  expect_ends(run_ranks(Mode::kThreads, nranks, [&](Meeting& meeting, int number) {
    TestRank rank(fixture, meeting, number, nranks, shapes);
    rank.open();
    body(rank);
    rank.barrier();
  }));
}

TEST(TcpConnections, PartialWritesAndReads) {
  run(kTiny, 3, kTestShapes, [](TestRank& rank) { Traffic(rank, {Protocol::kInline, Protocol::kStaged}, kMaxChannels).exchange(1100); });
}

// A message is many times what the kernel holds, both ways at once.
TEST(TcpConnections, BigSlotsThroughSmallBuffers) {
  for (const TransportFixture& fixture : {kTiny, kOneSocket}) {
    run(fixture, 2, kBigShapes, [](TestRank& rank) {
      constexpr int kMessages = 8;
      const int peer = 1 - rank.rank;
      FifoSender& out = rank.sender(peer);
      FifoReceiver& in = rank.receiver(peer);
      const auto value = [](int from, int message, size_t at) {
        return static_cast<std::byte>(static_cast<size_t>(from * 3 + message * 7) + at + (at >> 8) + (at >> 16));
      };
      for (int sent = 0, received = 0; received < kMessages;) {
        if (sent < kMessages && out.ready()) {
          for (size_t at = 0; at < out.capacity(); ++at) out.payload()[at] = value(rank.rank, sent, at);
          out.post(static_cast<uint16_t>(sent++), out.capacity());
        }
        rank.await_ready(in);
        ASSERT_EQ(in.signature(), received);
        for (size_t at = 0; at < out.capacity(); ++at) ASSERT_EQ(in.payload()[at], value(peer, received, at)) << received << " " << at;
        in.release();
        ++received;
      }
      rank.driving_barrier();
    });
  }
}

TEST(TcpConnections, ManyFifosOnFewSocketsAndOnMany) {
  for (const TransportFixture& fixture : {kOneSocket, kEightSockets}) {
    SCOPED_TRACE(fixture.name);
    run(fixture, 4, kTestShapes, [](TestRank& rank) { Traffic(rank, {Protocol::kInline, Protocol::kStaged}, kFifoChannels).exchange(20); });
  }
}

// What is still queued when an operation ends gets out although nobody drives the transport.
TEST(TcpConnections, ASettledTailGetsOutByItself) {
  constexpr FifoShapes kShapes = {.inlined = kTestShapes.inlined, .staged = {.slots = 8, .capacity = 1 << 20, .payload_offset = 64}};
  run(kTiny, 2, kShapes, [](TestRank& rank) {
    constexpr uint32_t kMessages = 8;
    if (rank.rank == 0) {
      FifoSender& out = rank.sender(1);
      rank.barrier();
      for (uint32_t i = 0; i < kMessages; ++i) {
        ASSERT_TRUE(out.ready());
        out.post(static_cast<uint16_t>(i), out.capacity());
      }
      rank.transport->settle();
      rank.meeting.await_mark(1, 0);  // without progress()
    } else {
      FifoReceiver& in = rank.receiver(0);
      rank.barrier();
      for (uint32_t i = 0; i < kMessages; ++i) {
        rank.await_ready(in);
        EXPECT_EQ(in.signature(), i);
        in.release();
      }
      rank.meeting.mark(1, 0);
    }
  });
}

// One connection, driven by hand from its far end.
class OneConnection : public ::testing::Test {
 protected:
  OneConnection() : fifos_(kTestShapes, test_budget()) { connect(); }
  void connect() {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    far_.reset(ends[1]);
    connection_.emplace(*ControlLoop::instance().value(), Fd(ends[0]), 1, fifos_, unsent_);
  }
  void send(const void* data, size_t bytes) { ASSERT_EQ(::send(far_.get(), data, bytes, MSG_NOSIGNAL), static_cast<ssize_t>(bytes)); }
  tcp::Connection::Received receive() { return connection_->receive(tcp::Connection::Locking::kWait); }
  void expect_dropped() {
    const auto received = receive();
    EXPECT_TRUE(received.news);
    EXPECT_TRUE(connection_->ended());
    EXPECT_EQ(connection_->heard(), PeerState::kAlive);
  }

  tcp::FifoTable fifos_;
  std::atomic<int> unsent_{0};
  Fd far_;
  std::optional<tcp::Connection> connection_;
};

constexpr FifoKey kKey = {.peer = 1, .channel = 2, .protocol = Protocol::kStaged};
constexpr tcp::FrameHeader kData = {.bytes = 4, .signature = 7, .channel = 2};

TEST_F(OneConnection, AFrameMayComeByteByByte) {
  std::array<std::byte, sizeof kData + 4> frame;
  std::memcpy(frame.data(), &kData, sizeof kData);
  std::memcpy(frame.data() + sizeof kData, "abcd", 4);
  for (size_t i = 0; i < frame.size(); ++i) {
    send(&frame[i], 1);
    EXPECT_EQ(receive().moved, i + 1 == frame.size());
  }
  tcp::InFifo* const in = fifos_.in(kKey);
  ASSERT_NE(in, nullptr);
  ASSERT_TRUE(in->end.ready());
  EXPECT_EQ(in->end.signature(), 7);
  EXPECT_EQ(std::memcmp(in->end.payload(), "abcd", 4), 0);
}

TEST_F(OneConnection, NoFrameIsBelievedThatCannotBe) {
  const std::function<void(tcp::FrameHeader&)> lies[] = {
      [](tcp::FrameHeader& h) { h.bytes = kTestShapes.staged.capacity + 1; },
      [](tcp::FrameHeader& h) { h.bytes = 0xffff'ffff; },
      [](tcp::FrameHeader& h) { h.channel = kFifoChannels; },
      [](tcp::FrameHeader& h) { h.protocol = static_cast<Protocol>(2); },
      [](tcp::FrameHeader& h) { h.kind = static_cast<tcp::FrameKind>(0); },
      [](tcp::FrameHeader& h) { h.kind = static_cast<tcp::FrameKind>(4); },
      [](tcp::FrameHeader& h) { h.kind = tcp::FrameKind::kGoodbye; },  // that says nothing
  };
  for (const auto& lie : lies) {
    connect();
    tcp::FrameHeader header = kData;
    lie(header);
    send(&header, sizeof header);
    expect_dropped();
  }
}

TEST_F(OneConnection, AMessageWithoutCreditIsNotTaken) {
  const tcp::FrameHeader empty = {.bytes = 0, .signature = 1, .channel = 2};
  for (uint32_t i = 0; i < kTestShapes.staged.slots; ++i) send(&empty, sizeof empty);
  EXPECT_TRUE(receive().moved);
  EXPECT_FALSE(connection_->ended());
  send(&empty, sizeof empty);
  expect_dropped();
}

// Credits from nowhere make no slot free that is not.
TEST_F(OneConnection, ImpossibleCreditsChangeNothing) {
  const Result<tcp::OutFifo*> out = fifos_.make_out(kKey, &*connection_);
  ASSERT_TRUE(out.ok());
  FifoSender& sender = out.value()->end;
  for (uint32_t i = 0; i < kTestShapes.staged.slots; ++i) {
    ASSERT_TRUE(sender.ready());
    sender.post(1, 0);
  }
  EXPECT_FALSE(sender.ready());
  for (const uint32_t count : {0u, kTestShapes.staged.slots + 1, 0x8000'0000u, 0xffff'ffffu}) {
    const tcp::FrameHeader credit = {.credit = count, .channel = 2, .kind = tcp::FrameKind::kCredit, .has_credit = 1};
    send(&credit, sizeof credit);
    receive();
    EXPECT_FALSE(sender.ready()) << count;
  }
  const tcp::FrameHeader credit = {.credit = 2, .channel = 2, .kind = tcp::FrameKind::kCredit, .has_credit = 1};
  send(&credit, sizeof credit);
  EXPECT_TRUE(receive().moved);
  EXPECT_TRUE(sender.ready());
}

TEST_F(OneConnection, AnEndAfterAGoodbyeIsAnother) {
  const tcp::FrameHeader goodbye = {.kind = tcp::FrameKind::kGoodbye, .goodbye = PeerState::kAborted};
  send(&goodbye, sizeof goodbye);
  far_.reset();
  EXPECT_TRUE(receive().news);
  if (!connection_->ended()) receive();
  EXPECT_TRUE(connection_->ended());
  EXPECT_EQ(connection_->heard(), PeerState::kAborted);
}

TEST_F(OneConnection, AnEndInTheMidstOfAMessageIsADeath) {
  send(&kData, sizeof kData);
  send("ab", 2);
  far_.reset();
  for (int i = 0; i < 2 && !connection_->ended(); ++i) receive();
  EXPECT_TRUE(connection_->ended());
  EXPECT_EQ(connection_->heard(), PeerState::kAlive);
  EXPECT_FALSE(fifos_.in(kKey)->end.ready());
}

// --- Half open

// A port where connections are queued and nobody ever accepts one: the bound holds, and the peer and the address are named.
TEST(TcpConnections, APeerThatNeverAnswersIsGivenUp) {
  Result<std::unique_ptr<Transport>> made = make<0, 2>(0, 2, kTestShapes, test_key());
  ASSERT_TRUE(made.ok());
  const auto own = made.value()->address();
  tcp::Address deaf = *tcp::Address::decode(own);
  deaf.entries.resize(1);
  const IpAddress ip = deaf.entries.front().ip;
  sockaddr_storage address;
  socklen_t length = ip.to_sockaddr(0, address);
  const Fd listener(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  deaf.port = ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);  // where sockaddr_in6 has it too
  std::vector<std::vector<std::byte>> addresses = {{own.begin(), own.end()}, deaf.encode()};
  ASSERT_TRUE(made.value()->introduce(addresses).ok());
  for (int attempt = 0; attempt < 4; ++attempt) {  // the later ones find the queue full
    const Status status = made.value()->sender({.peer = 1}, 0.1).status();
    EXPECT_EQ(status.code(), Code::kTimeout) << status.message();
    for (const std::string& part : {std::string("rank 1"), ip.text()}) {
      EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
    }
  }
}

TEST(TcpAddress, GoesThereAndBackAndNothingElseDoes) {
  tcp::Address address = {.port = 0xabcd, .entries = {}};
  address.id[3] = std::byte{9};
  for (size_t i = 1; i <= tcp::Address::kMaxEntries; ++i) {
    tcp::Address::Entry entry;
    entry.ip.bytes[15] = static_cast<std::byte>(i);
    entry.prefix_bits = static_cast<uint8_t>(i);
    address.entries.push_back(entry);
    const std::vector<std::byte> bytes = address.encode();
    const auto back = tcp::Address::decode(bytes);
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(back->encode(), bytes);
    for (size_t length = 0; length < bytes.size(); ++length) EXPECT_FALSE(tcp::Address::decode(std::span(bytes).first(length)).has_value());
    EXPECT_LE(bytes.size(), Transport::kMaxAddressBytes - 48);  // room for the other transports' parts
  }
  EXPECT_FALSE(tcp::Address::decode(tcp::Address().encode()).has_value());
}

TEST(TcpAddress, CandidatesAreNearFirstAndSpread) {
  const auto entry = [](int network, int host) {
    tcp::Address::Entry made;
    made.ip.bytes[10] = made.ip.bytes[11] = std::byte{0xff};
    made.ip.bytes[12] = std::byte{10};
    made.ip.bytes[14] = static_cast<std::byte>(network);
    made.ip.bytes[15] = static_cast<std::byte>(host);
    made.prefix_bits = 96 + 24;
    return made;
  };
  const tcp::Address own = {.port = 1, .entries = {entry(1, 1), entry(2, 1)}},
                     peer = {.port = 1, .entries = {entry(3, 2), entry(2, 2), entry(1, 2)}};
  const auto text = [&](int index) {
    std::string all;
    for (const IpAddress& ip : tcp::candidates(own, peer, index)) all += ip.text() + " ";
    return all;
  };
  EXPECT_EQ(text(0), "10.0.2.2 10.0.1.2 10.0.3.2 ");
  EXPECT_EQ(text(1), "10.0.1.2 10.0.2.2 10.0.3.2 ");
  EXPECT_EQ(text(2), text(0));
}

}  // namespace
}  // namespace tutti
