// MPICH's mpirun (hydra) and its kin: the PMI-1 wire protocol, lines "cmd=... key=value ...\n" answered by lines. Rank 0 puts the unique id
// under keys of ours, in pieces that the manager takes; everybody passes the barrier; the others get them.
#include "launch/launcher.h"
#include "launch/pmi_socket.h"
#include "launch/unique_id_text.h"

namespace tutti {
namespace {

constexpr int kLeastPiece = 8;  // of 256 digits: a manager with shorter values is none

// srun's manager speaks PMI-2 as well, and better.
bool present(const Environment& environment, const Config&) {
  return pmi_present(environment);
}

std::string key_of(size_t piece) {
  return "tutti-id-" + std::to_string(piece);
}

class Session {
 public:
  explicit Session(PmiSocket socket) : socket_(std::move(socket)) {}

  // With PMI_PORT the manager asks who we are, and then says it.
  Result<Numbers> introduce(const Environment& environment) {
    if (environment.says("PMI_FD") || !environment.says("PMI_ID")) return read_numbers(environment, "PMI_RANK", "PMI_SIZE");
    const Result<std::string> reply = socket_.ask_line("cmd=initack pmiid=" + environment.value("PMI_ID"), "initack");
    if (!reply.ok()) return reply.status();
    Environment::Variables said;
    for (const char* name : {"size", "rank", "debug"}) {
      const Result<std::string> line = socket_.read_line();
      if (!line.ok()) return line.status();
      said[name] = pmi1_value(line.value(), name);
    }
    return read_numbers(Environment(std::move(said)), "rank", "size");
  }

  Status begin() {
    if (Status status = pmi_init(socket_, 1, 1); !status.ok()) return status;
    const Result<std::string> maxes = socket_.ask_line("cmd=get_maxes", "maxes");
    if (!maxes.ok()) return maxes.status();
    const std::optional<int> longest = parse_number(pmi1_value(maxes.value(), "vallen_max"));
    if (!longest || *longest <= kLeastPiece) return nonsense(maxes.value());
    piece_ = static_cast<size_t>(std::min(*longest - 1, 256));  // the maximum counts a terminating zero
    const Result<std::string> name = socket_.ask_line("cmd=get_my_kvsname", "my_kvsname");
    if (!name.ok()) return name.status();
    space_ = pmi1_value(name.value(), "kvsname");
    return space_.empty() ? nonsense(name.value()) : Status();
  }

  Status put(const std::string& text) {
    for (size_t at = 0; at < text.size(); at += piece_) {
      const Result<std::string> reply =
          socket_.ask_line("cmd=put kvsname=" + space_ + " key=" + key_of(at / piece_) + " value=" + text.substr(at, piece_), "put_result");
      if (!reply.ok()) return reply.status();
      if (pmi1_value(reply.value(), "rc") != "0") return nonsense(reply.value());
    }
    return {};
  }

  Status barrier() { return socket_.ask_line("cmd=barrier_in", "barrier_out").status(); }

  Result<std::string> get(size_t size) {
    std::string text;
    while (text.size() < size) {
      const Result<std::string> reply =
          socket_.ask_line("cmd=get kvsname=" + space_ + " key=" + key_of(text.size() / piece_), "get_result");
      if (!reply.ok()) return reply;
      const std::string value = pmi1_value(reply.value(), "value");
      if (pmi1_value(reply.value(), "rc") != "0" || value.size() != std::min(piece_, size - text.size())) return nonsense(reply.value());
      text += value;
    }
    return text;
  }

  void leave() { PmiSocket::leave(std::move(socket_), "cmd=finalize\n"); }

 private:
  static Status nonsense(const std::string& line) {
    return {Code::kRemote, "the process manager (PMI-1) answered '" + line.substr(0, 100) +
                               "', which makes no sense here: set TUTTI_RENDEZVOUS=host:port to meet without its help"};
  }

  PmiSocket socket_;
  std::string space_;
  size_t piece_ = 0;
};

Result<JobPlace> join(const Environment& environment, const Config& config) {
  Result<PmiSocket> socket = PmiSocket::open(environment, config.init_timeout_s);
  if (!socket.ok()) return socket.status();
  Session session(std::move(*socket));
  const Result<Numbers> numbers = session.introduce(environment);
  if (!numbers.ok()) return numbers.status();
  if (Status status = session.begin(); !status.ok()) return status;
  const bool publishes = numbers.value().rank == 0;
  Result<RendezvousId> id = RendezvousId();
  if (publishes) {
    id = open_rendezvous();
    if (!id.ok()) return id.status();
    if (Status status = session.put(id_to_hex(*id)); !status.ok()) return status;
  }
  if (Status status = session.barrier(); !status.ok()) return status;
  if (!publishes) {
    const Result<std::string> text = session.get(2 * TUTTI_UNIQUE_ID_BYTES);
    if (!text.ok()) return text.status();
    id = id_from_hex(text.value());
    if (!id.ok()) return Status(Code::kRemote, "the process manager (PMI-1) handed over no unique id: " + id.status().message());
  }
  session.leave();
  return JobPlace{numbers.value().rank, numbers.value().nranks, *id};
}

}  // namespace

const Launcher pmi1_launcher = {.name = "pmi1", .present = present, .join = join, .again = Again::kNever};

}  // namespace tutti
