// See bench.h.
#include "bench.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "check.h"
#include "report.h"
#include "timing.h"

namespace perf {
namespace {

// tuttiCommExplain's words about one request, as JSON. Local.
nlohmann::json explain(const Options& options, tuttiComm_t comm, tuttiCollective_t collective, size_t count) {
  const auto ask = [&](char* text, size_t capacity, size_t* length) {
    must(tuttiCommExplain(comm, collective, count, options.type->id, options.op->id, std::max(options.root, 0), text, capacity, length),
         comm, "tuttiCommExplain");
  };
  size_t length = 0;
  ask(nullptr, 0, &length);
  std::string text(length + 1, '\0');
  ask(text.data(), text.size(), nullptr);
  return nlohmann::json::parse(text.c_str(), nullptr, false);
}

std::string field(const nlohmann::json& explanation, const char* key) {
  const bool there = explanation.is_object() && explanation.contains(key) && explanation[key].is_string();
  return there ? explanation[key].get<std::string>() : "unknown";
}

std::string transport_of(const Options& options, tuttiComm_t comm) {
  return field(explain(options, comm, tuttiCollectiveAllReduce, 1), "transport");
}

class Bench {
 public:
  Bench(const Options& options, const Communicator& comm, const std::vector<Shape>& shapes)
      : options_(options),
        comm_(comm),
        exchange_(comm),
        input_(largest(shapes, [](const Layout& layout) { return layout.send_elems; })),
        output_(largest(shapes, [&](const Layout& layout) {
          return options.collective->in_place ? std::max(layout.recv_elems, layout.in_place_elems()) : layout.recv_elems;
        })) {}

  Exchange& exchange() { return exchange_; }

  Row run(const Shape& shape) {
    Row row{shape, std::nullopt, run(shape, false), std::nullopt};
    if (const auto id = options_.collective->id) row.algorithm = field(explain(options_, comm_.handle(), *id, shape.count), "algorithm");
    if (options_.collective->in_place) row.in_place = run(shape, true);
    return row;
  }

 private:
  // This rank's place with every root that iterations take, in turn.
  std::vector<Place> places() const {
    const bool rotates = options_.collective->rooted && options_.root < 0;
    const int first = std::max(options_.root, 0), roots = rotates ? comm_.ranks() : 1;
    std::vector<Place> places;
    for (int i = 0; i < roots; ++i) places.push_back({comm_.rank(), comm_.ranks(), first + i});
    return places;
  }

  template <class Elems>
  size_t largest(const std::vector<Shape>& shapes, Elems elems) const {
    size_t most = 0;
    for (const Shape& shape : shapes) {
      for (const Place& place : places()) most = std::max(most, elems(options_.collective->layout(shape.count, place)));
    }
    return most * options_.type->bytes;
  }

  Call call(const Shape& shape, const Place& place, bool in_place) const {
    const size_t elem = options_.type->bytes;
    Layout layout = options_.collective->layout(shape.count, place);
    std::byte* send = in_place ? output_.data() + layout.send_at * elem : input_.data();
    std::byte* recv = output_.data() + (in_place ? layout.recv_at * elem : 0);
    if (layout.send_elems == 0) send = nullptr;
    if (layout.recv_elems == 0) recv = nullptr;
    return {send, recv, shape.count, options_.type->id, options_.op->id, place, in_place, std::move(layout), comm_.handle()};
  }

  Workload workload(const Shape& shape, bool in_place) {
    Workload work{options_.type, options_.op, shape, in_place ? nullptr : &input_, &output_, {options_.collective, {}}};
    for (const Place& place : places()) work.operation.calls.push_back(call(shape, place, in_place));
    return work;
  }

  Measured run(const Shape& shape, bool in_place) {
    const Workload work = workload(shape, in_place);
    Measured measured;
    check(work, in_place, options_.inject_error, measured);
    if (in_place) clear(work);
    measured.timing = measure(work.operation, options_.warmups, options_.iterations, exchange_);
    check(work, in_place, false, measured);
    return measured;
  }

  // Repeated in place, sums of anything but zeros leave the range of the type.
  void clear(const Workload& work) {
    size_t most = 0;
    for (const Call& call : work.operation.calls) most = std::max(most, call.layout.in_place_elems());
    output_.clear(most * options_.type->bytes);
  }

  void check(const Workload& work, bool in_place, bool inject, Measured& measured) {
    if (!options_.check) return;
    const size_t iteration = checks_[in_place ? 1 : 0]++;
    inject = inject && comm_.rank() == work.operation.call(iteration).place.root;
    const Findings findings = options_.collective->sizing == Sizing::kNothing ? run_checked_barrier(work, ++seed_, inject, exchange_)
                                                                              : run_checked(work, iteration, ++seed_, inject);
    measured.wrong = measured.wrong.value_or(0) + exchange_.sum_counts(findings.wrong);
    measured.out_of_bounds += exchange_.sum_counts(findings.out_of_bounds);
  }

  const Options& options_;
  const Communicator& comm_;
  Exchange exchange_;
  GuardedBuffer input_;
  GuardedBuffer output_;
  uint64_t seed_ = 0;
  std::array<size_t, 2> checks_{};  // so far, out of place and in place: over the sizes, the checks go through the roots
};

std::vector<RankInfo> gather_ranks(Exchange& exchange, int cpu) {
  const std::vector<uint64_t> pids = exchange.gather_count(static_cast<uint64_t>(getpid()));
  const std::vector<uint64_t> cpus = exchange.gather_count(static_cast<uint64_t>(cpu) + 1);
  std::vector<RankInfo> ranks(pids.size());
  for (size_t r = 0; r < ranks.size(); ++r) ranks[r] = {pids[r], static_cast<int>(cpus[r]) - 1};
  return ranks;
}

int run(const Options& options, const Membership& membership) {
  const bool reports = membership.rank == 0;
  // Rather now than after an hour.
  if (reports && !options.json_path.empty() && !std::ofstream(options.json_path)) throw Failure("cannot write " + options.json_path);
  const std::vector<Shape> shapes = options.shapes();
  const Communicator comm(membership);
  Bench bench(options, comm, shapes);
  const std::vector<RankInfo> ranks = gather_ranks(bench.exchange(), membership.cpu);
  const std::string transport = transport_of(options, comm.handle());
  if (reports) print_header(options, transport, ranks);
  std::vector<Row> rows;
  for (const Shape& shape : shapes) {
    rows.push_back(bench.run(shape));
    if (reports) print_row(options, rows.back());
  }
  if (reports) print_footer(options, rows);
  if (reports && !options.json_path.empty()) write_json(options, transport, rows);
  return total_wrong(rows) == 0 ? 0 : 1;
}

}  // namespace

int run_rank(const Options& options, const Membership& membership) noexcept {
  try {
    return run(options, membership);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tutti-perf: rank %d: %s\n", membership.rank, error.what());
    return 1;
  }
}

}  // namespace perf
