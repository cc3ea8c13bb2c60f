// Algorithms of few rounds that exchange whole blocks: in each round a rank sends some blocks to one rank and receives some from another.
// A region lies inside one block, so every block is a message of its own, and a round is many messages. A share's sends and its receives
// are therefore two channels: a rank receives while its sends wait for credits, and the messages of a round follow each other closely.
// A send waits for just the block that it sends.
// Threading: pure functions.
#pragma once

#include <utility>
#include <vector>

#include "algorithms/channel_share.h"
#include "plan/builder.h"

namespace tutti {

struct Round {
  int to = 0;
  std::vector<int> sent;
  int from = 0;
  std::vector<int> received;
  bool arriving_first = true;  // what arrives is the left operand of a reduction
};

// All-gather: a rank's first send of all is its own block, and it sends others only after it has received them, each once.
inline Program gather_in_rounds(const PlanRequest& request, const PlanChoice& choice, int rank, const std::vector<Round>& rounds) {
  ProgramBuilder builder = two_channels_a_share(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  Program program = builder.take();
  for (int c = 0; c < choice.channels; ++c) {
    const ChannelShare share{c, choice.channels};
    const int receiving_channel = choice.channels + c;
    auto& sends = program.channels[static_cast<size_t>(c)];
    auto& receives = program.channels[static_cast<size_t>(receiving_channel)];
    std::vector<int> arrival(static_cast<size_t>(request.nranks), -1);  // of each block: the index of its receive
    for (const Round& round : rounds) {
      for (const int block : round.sent) {
        Instruction send{.send_peer = round.to};
        if (block == rank) {
          send.src = share.of(Buffer::kInput);
          if (sends.empty()) send.dst = share.of(Buffer::kOutput, rank);
        } else {
          send.src = share.of(Buffer::kOutput, block);
          send.after_channel = receiving_channel;
          send.after_index = arrival[static_cast<size_t>(block)];
        }
        sends.push_back(send);
      }
      for (const int block : round.received) {
        arrival[static_cast<size_t>(block)] = static_cast<int>(receives.size());
        receives.push_back({.recv_peer = round.from, .dst = share.of(Buffer::kOutput, block)});
      }
    }
  }
  return program;
}

// Reduce-scatter: what is received is reduced with what this rank holds of the block; what is sent is not needed again. The last round
// receives just this rank's block, and the first receives every block that any later round does. Partial results are in scratch.
inline Program reduce_scatter_in_rounds(const PlanRequest& request, const PlanChoice& choice, int rank, const std::vector<Round>& rounds) {
  ProgramBuilder builder = two_channels_a_share(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  std::vector<int> place(static_cast<size_t>(request.nranks), -1);  // of each block's partial result: the block of scratch
  int places = 0;
  for (const int block : rounds.front().received) {
    if (block != rank) place[static_cast<size_t>(block)] = places++;
  }
  builder.use_scratch(static_cast<uint32_t>(places));
  Program program = builder.take();
  for (int c = 0; c < choice.channels; ++c) {
    const ChannelShare share{c, choice.channels};
    const int receiving_channel = choice.channels + c;
    auto& sends = program.channels[static_cast<size_t>(c)];
    auto& receives = program.channels[static_cast<size_t>(receiving_channel)];
    std::vector<int> reduction(static_cast<size_t>(request.nranks), -1);  // of each block: the index of its latest reduction
    const auto partial = [&](int block) {
      return block == rank ? share.of(Buffer::kOutput) : share.of(Buffer::kScratch, place[static_cast<size_t>(block)]);
    };
    for (const Round& round : rounds) {
      for (const int block : round.sent) {
        const int latest = reduction[static_cast<size_t>(block)];
        if (latest < 0) {
          sends.push_back({.send_peer = round.to, .src = share.of(Buffer::kInput, block)});
        } else {
          sends.push_back({.send_peer = round.to, .src = partial(block), .after_channel = receiving_channel, .after_index = latest});
        }
      }
      for (const int block : round.received) {
        int& latest = reduction[static_cast<size_t>(block)];
        receives.push_back({.recv_peer = round.from,
                            .reduce = true,
                            .src_first = !round.arriving_first,
                            .completes = &round == &rounds.back(),
                            .src = latest < 0 ? share.of(Buffer::kInput, block) : partial(block),
                            .dst = partial(block)});
        latest = static_cast<int>(receives.size()) - 1;
      }
    }
  }
  return program;
}

// The all-gather of a circulant graph: with 1 = distances[0] < distances[1] < ... < distances.back() = n, none more than twice the one
// before, round k brings every rank from distances[k] to distances[k + 1] blocks: its own and those of the ranks that follow it.
inline std::vector<Round> circulant_gather_rounds(int nranks, int rank, const std::vector<int>& distances) {
  std::vector<Round> rounds;
  for (size_t k = 0; k + 1 < distances.size(); ++k) {
    const int distance = distances[k];
    Round round{.to = (rank + nranks - distance) % nranks, .from = (rank + distance) % nranks};
    for (int i = 0; i < distances[k + 1] - distance; ++i) {
      round.sent.push_back((rank + i) % nranks);
      round.received.push_back((rank + distance + i) % nranks);
    }
    rounds.push_back(std::move(round));
  }
  return rounds;
}

}  // namespace tutti
