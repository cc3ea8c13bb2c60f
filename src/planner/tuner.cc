#include "planner/tuner.h"

#include <dlfcn.h>

#include <cstddef>
#include <cstring>

#include "base/log.h"
#include "planner/tuner_table.h"

namespace tutti {
namespace {

// Of version 1: its last field included.
constexpr size_t kLeastSize = offsetof(tuttiTuner_t, finish) + sizeof(tuttiTuner_t::finish);

struct Library {
  void* handle = nullptr;
  std::string path;
};

// Stays loaded: its code may be in use by threads of its own.
void* open(const std::string& path) {
  return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

std::string last_dl_error() {
  const char* const why = dlerror();
  return why == nullptr ? "unknown" : why;
}

Result<Library> open_library(const std::string& name) {
  if (void* const handle = open(name)) return Library{handle, name};
  std::string why = last_dl_error();
  if (name.find('/') == std::string::npos) {
    const std::string conventional = "libtutti-tuner-" + name + ".so";
    if (void* const handle = open(conventional)) return Library{handle, conventional};
    why += "; " + last_dl_error();
  }
  return Status(Code::kSystem, "tuner plug-in '" + name + "' (TUTTI_TUNER) cannot be loaded: " + why +
                                   ": give the path of a shared object, or NAME of a libtutti-tuner-NAME.so that the linker finds "
                                   "(LD_LIBRARY_PATH)");
}

void log_for_plugin(const char* sentence) {
  try {
    log_info(std::string("tuner: ") + (sentence == nullptr ? "(nothing)" : sentence));
  } catch (...) {  // out of memory: a line less. No exception may pass through a plug-in's C
  }
}

// Whatever a C++ plug-in throws stops here.
template <class Call>
tuttiResult_t call_plugin(const Call& call) {
  try {
    return call();
  } catch (...) {
    return tuttiInternalError;
  }
}

// The table, if it is one that this library can use. `size` and `version` stand first in every version.
Status check_table(const tuttiTuner_t* table, const std::string& name) {
  const auto refuse = [&](const std::string& what) {
    return Status(Code::kInvalidArgument, "tuner plug-in '" + name + "' (TUTTI_TUNER) " + what);
  };
  constexpr const char* kRebuild = ": rebuild it with this library's tutti/plugin.h";
  if (table == nullptr) return refuse("returned no table: it cannot be used here; ask who made it");
  if (table->version != TUTTI_TUNER_VERSION) {
    return refuse("has version " + std::to_string(table->version) + " of the tuner's table, this library " +
                  std::to_string(TUTTI_TUNER_VERSION) + kRebuild);
  }
  if (table->size < kLeastSize) {
    return refuse("says that its table has " + std::to_string(table->size) + " bytes, but version " + std::to_string(TUTTI_TUNER_VERSION) +
                  "'s has " + std::to_string(kLeastSize) + kRebuild);
  }
  if (table->name == nullptr || table->tune == nullptr) {
    return refuse(std::string("has no ") + (table->name == nullptr ? "name" : "function `tune`") + " in its table: fill it in");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Tuner>> Tuner::load(const std::string& name, const tuttiTunerJob_t& job) {
  Result<Library> library = open_library(name);
  if (!library.ok()) return library.status();
  using Entry = const tuttiTuner_t* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library->handle, "tuttiTunerPlugin"));
  if (entry == nullptr) {
    return Status(Code::kInvalidArgument, "'" + library->path + "' (TUTTI_TUNER) is no tuner: it exports no function tuttiTunerPlugin (" +
                                              "tutti/plugin.h): name another, or unset TUTTI_TUNER");
  }
  const tuttiTuner_t* table = nullptr;
  static_cast<void>(call_plugin([&] { return table = entry(), tuttiSuccess; }));
  if (Status wrong = check_table(table, library->path); !wrong.ok()) return wrong;
  std::unique_ptr<Tuner> tuner(new Tuner);
  std::memcpy(&tuner->table_, table, kLeastSize);
  tuner->who_ = "tuner plug-in '" + std::string(table->name) + "' (" + library->path + ")";
  if (table->init != nullptr) {
    tuttiTunerJob_t with_log = job;
    with_log.size = sizeof with_log;
    with_log.log = log_for_plugin;
    const tuttiResult_t result = call_plugin([&] { return table->init(&with_log, &tuner->context_); });
    if (result != tuttiSuccess) {
      return Status(Code::kSystem, tuner->who_ + " did not start: its init returned " + std::to_string(static_cast<int>(result)) +
                                       " (a tuttiResult_t): see what it wrote, or unset TUTTI_TUNER");
    }
  }
  tuner->started_ = true;
  return tuner;
}

Tuner::~Tuner() {
  if (!started_ || table_.finish == nullptr) return;
  static_cast<void>(call_plugin([&] { return table_.finish(context_), tuttiSuccess; }));
}

Result<PlanChoice> Tuner::choose(const TunerQuestion& question, const Ranking& ranking, const Topology& topology) {
  TunerTable table(question, ranking);
  tuttiTunerRequest_t request = {.size = sizeof request,
                                 .collective = static_cast<tuttiCollective_t>(question.request.collective),
                                 .nranks = question.request.nranks,
                                 .nnodes = question.nnodes,
                                 .root = has_root(question.request.collective) ? question.request.root : -1,
                                 .uneven = question.request.uneven ? 1 : 0,
                                 .rankOrdered = question.request.rank_ordered ? 1 : 0,
                                 .typeBytes = question.type_bytes,
                                 .bytes = question.bytes,
                                 .mostInlineBytes = question.inline_bytes,
                                 .bound = question.bound_us};
  const tuttiResult_t result = call_plugin([&] { return table_.tune(context_, &request, table.shown()); });
  if (result != tuttiSuccess) {
    if (!declined_) {
      log_warn(who_ + " declined a request (it returned " + std::to_string(static_cast<int>(result)) +
               "): what the planner chooses stands there, and wherever it declines again");
    }
    declined_ = true;
    return question.planned;
  }
  Result<PlanChoice> choice = table.chosen(topology, who_);
  if (!choice.ok()) return Status(choice.status().code(), who_ + choice.status().message());
  return choice;
}

}  // namespace tutti
