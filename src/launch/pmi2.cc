// srun --mpi=pmi2: the PMI-2 wire protocol. After the line that PMI-1 begins with, messages are six digits of length, then
// "cmd=...;key=value;..." with ';' doubled inside values. Rank 0 puts the unique id, everybody passes the fence, the others get it.
#include <algorithm>

#include "launch/launcher.h"
#include "launch/pmi_socket.h"
#include "launch/unique_id_text.h"

namespace tutti {
namespace {

constexpr size_t kLengthDigits = 6;
constexpr const char* kKey = "tutti-id";  // its 256 digits are below PMI2_MAX_VALLEN, 1024

// mpirun's manager speaks PMI-1 as well; inside a Slurm job both are around, and only mpirun's sets MPI_LOCALRANKID.
bool present(const Environment& environment, const Config&) {
  return pmi_present(environment) && environment.says("SLURM_PROCID") && !environment.has("MPI_LOCALRANKID") &&
         !environment.has("HYDI_CONTROL_FD");
}

using Fields = Environment::Variables;

Fields parse(std::string_view body) {
  Fields fields;
  std::string token;
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] != ';') {
      token += body[i];
    } else if (i + 1 < body.size() && body[i + 1] == ';') {
      token += ';';
      ++i;
    } else {
      const size_t equals = token.find('=');
      if (equals != std::string::npos) fields.emplace(token.substr(0, equals), token.substr(equals + 1));
      token.clear();
    }
  }
  return fields;
}

std::string frame(const std::string& body) {
  std::string length = std::to_string(body.size());
  return std::string(kLengthDigits - length.size(), ' ') + length + body;
}

Status nonsense(const std::string& text) {
  return {Code::kRemote, "the process manager (PMI-2) answered '" + text.substr(0, 100) +
                             "', which makes no sense here: set TUTTI_RENDEZVOUS=host:port to meet without its help"};
}

// The answer to cmd=`command` with `rest`, whose rc is 0.
Result<Fields> ask(PmiSocket& socket, const std::string& command, const std::string& rest) {
  if (Status status = socket.send(frame("cmd=" + command + ";" + rest)); !status.ok()) return status;
  const Result<std::string> length = socket.read_exactly(kLengthDigits);
  if (!length.ok()) return length.status();
  const size_t digits = length.value().find_first_not_of(' ');
  const std::optional<int> bytes = parse_number(std::string_view(length.value()).substr(std::min(digits, kLengthDigits)));
  if (!bytes || static_cast<size_t>(*bytes) > PmiSocket::kMaxMessageBytes) return nonsense(length.value());
  const Result<std::string> body = socket.read_exactly(std::max<size_t>(1, static_cast<size_t>(*bytes)));
  if (!body.ok()) return body.status();
  Fields fields = parse(body.value());
  if (fields["cmd"] != command + "-response" || fields["rc"] != "0") return nonsense(body.value());
  return fields;
}

Result<std::string> get_id(PmiSocket& socket, const std::string& job) {
  // srcid=-1: no hint where the value is from.
  Result<Fields> found = ask(socket, "kvs-get", (job.empty() ? "" : "jobid=" + job + ";") + "srcid=-1;key=" + kKey + ";");
  if (!found.ok()) return found.status();
  return (*found)["value"];
}

Result<JobPlace> join(const Environment& environment, const Config& config) {
  const Result<Numbers> numbers = read_numbers(environment, "PMI_RANK", "PMI_SIZE");
  if (!numbers.ok()) return numbers.status();
  Result<PmiSocket> socket = PmiSocket::open(environment, config.init_timeout_s);
  if (!socket.ok()) return socket.status();
  if (Status status = pmi_init(*socket, 2, 0); !status.ok()) return status;
  const int rank = numbers.value().rank;
  const std::string job = environment.value("PMI_JOBID");
  const Result<Fields> hello =
      ask(*socket, "fullinit", (job.empty() ? "" : "pmijobid=" + job + ";") + "pmirank=" + std::to_string(rank) + ";threaded=FALSE;");
  if (!hello.ok()) return hello.status();
  Result<RendezvousId> id = RendezvousId();
  if (rank == 0) {
    id = open_rendezvous();
    if (!id.ok()) return id.status();
    const Result<Fields> put = ask(*socket, "kvs-put", std::string("key=") + kKey + ";value=" + id_to_hex(*id) + ";");
    if (!put.ok()) return put.status();
  }
  if (const Result<Fields> fence = ask(*socket, "kvs-fence", ""); !fence.ok()) return fence.status();
  if (rank != 0) {
    const Result<std::string> text = get_id(*socket, job);
    if (!text.ok()) return text.status();
    id = id_from_hex(text.value());
    if (!id.ok()) return Status(Code::kRemote, "the process manager (PMI-2) handed over no unique id: " + id.status().message());
  }
  PmiSocket::leave(std::move(*socket), frame("cmd=finalize;"));
  return JobPlace{rank, numbers.value().nranks, *id};
}

}  // namespace

const Launcher pmi2_launcher = {.name = "pmi2", .present = present, .join = join, .again = Again::kNever};

}  // namespace tutti
