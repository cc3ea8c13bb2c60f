// The symbolic check: executes the plan on expressions, and compares what every output holds at the end with what the collective means.
//
// Regions are congruent, so an atom never meets another: the atoms are executed one after another, each with only the instructions
// that touch it, and the memory is that of one atom.
// Threading: pure functions.
#include <algorithm>
#include <string>
#include <utility>

#include "plan/checks.h"
#include "plan/expressions.h"
#include "plan/semantics.h"

namespace tutti::verifier {
namespace {

using std::to_string;

class SymbolicRun {
 public:
  SymbolicRun(const ResolvedPlan& plan, const std::vector<uint32_t>& order, bool rank_ordered)
      : plan_(plan),
        inputs_(input_blocks(plan.program(0).collective, plan.program(0).nranks)),
        expressions_(plan.nranks, inputs_, rank_ordered),
        values_(plan.ncells),
        messages_(plan.nmessages) {
    sort_by_atom(order);
  }

  Status run() {
    for (atom_ = 0; atom_ < plan_.natoms; ++atom_) {
      expressions_.clear();
      std::fill(values_.begin(), values_.end(), kNoIndex);
      set_inputs();
      for (uint32_t i = atom_steps_begin_[atom_]; i < atom_steps_begin_[atom_ + 1]; ++i) {
        if (!execute(atom_steps_[i])) return failure_;
      }
      if (!check_outputs()) return failure_;
    }
    return {};
  }

 private:
  // Buckets the steps by atom, each bucket in the order of execution.
  void sort_by_atom(const std::vector<uint32_t>& order) {
    atom_steps_begin_.assign(plan_.natoms + 1, 0);
    for (const Step& step : plan_.steps) {
      for (uint32_t atom = step.atom_begin; atom < step.atom_end; ++atom) ++atom_steps_begin_[atom + 1];
    }
    for (uint32_t atom = 0; atom < plan_.natoms; ++atom) atom_steps_begin_[atom + 1] += atom_steps_begin_[atom];
    atom_steps_.resize(atom_steps_begin_.back());
    std::vector<uint32_t> next(atom_steps_begin_.begin(), atom_steps_begin_.end() - 1);
    for (const uint32_t id : order) {
      const Step& step = plan_.steps[id];
      for (uint32_t atom = step.atom_begin; atom < step.atom_end; ++atom) atom_steps_[next[atom]++] = id;
    }
  }

  void set_inputs() {
    for (uint32_t rank = 0; rank < plan_.nranks; ++rank) {
      const Program& program = plan_.program(rank);
      const uint32_t blocks = input_blocks(program.collective, program.nranks, program.root, program.rank);
      for (uint32_t block = 0; block < blocks; ++block) values_[plan_.cells[rank].input + block] = expressions_.leaf(rank, block);
    }
  }

  bool execute(uint32_t id) {
    const Step& step = plan_.steps[id];
    uint32_t value = kNoIndex;
    if (step.recv_message != kNoIndex) {
      value = messages_[step.recv_message];
    } else {
      const bool accumulates = step.reduce;  // dst = dst reduced with src
      value = values_[accumulates ? step.dst_cell : step.src_cell];
      if (value == kNoIndex) return fail_undefined(id, accumulates);
    }
    if (step.reduce) {
      const uint32_t operand = values_[step.src_cell];
      if (operand == kNoIndex) return fail_undefined(id, false);
      const uint32_t left = step.src_first ? operand : value, right = step.src_first ? value : operand;
      value = expressions_.reduce(left, right);
      if (value == kNoIndex) return fail_reduce(id, left, right);
    }
    if (step.completes) {
      if (expressions_.completed(value) || expressions_.lacked_rank(value) != kNoIndex) return fail_complete(id, value);
      value = expressions_.complete(value);
    }
    if (step.dst_cell != kNoIndex) values_[step.dst_cell] = value;
    if (step.send_message != kNoIndex) messages_[step.send_message] = value;
    return true;
  }

  bool check_outputs() {
    reduced_.assign(inputs_, {kNoIndex, 0});
    for (uint32_t rank = 0; rank < plan_.nranks; ++rank) {
      const Program& program = plan_.program(rank);
      const uint32_t blocks = output_blocks(program.collective, program.nranks, program.root, program.rank);
      for (uint32_t block = 0; block < blocks; ++block) {
        const Expected expected = expected_output(program.collective, program.root, program.rank, block);
        if (expected.kind == Expected::Kind::kAnything) continue;
        const uint32_t value = values_[plan_.cells[rank].output + block];
        if (value == kNoIndex) return fail_output(rank, block, "is never written");
        const bool right = expected.kind == Expected::Kind::kReduction ? check_reduction(rank, block, expected, value)
                                                                       : check_copy(rank, block, expected, value);
        if (!right) return false;
      }
    }
    return true;
  }

  bool check_copy(uint32_t rank, uint32_t block, const Expected& expected, uint32_t value) {
    if (value == expressions_.leaf(static_cast<uint32_t>(expected.from), expected.input_block)) return true;
    return fail_output(rank, block,
                       "should be a copy of rank " + to_string(expected.from) + "'s input block " + to_string(expected.input_block) +
                           ", but is of rank " + expressions_.text(value) + "'s block " + to_string(expressions_.block(value)));
  }

  // Whoever comes first is right if all ranks contribute; the others must hold the same expression.
  bool check_reduction(uint32_t rank, uint32_t block, const Expected& expected, uint32_t value) {
    auto& [first_value, first_rank] = reduced_[expected.input_block];
    if (value == first_value) return true;
    if (expressions_.block(value) != expected.input_block) {
      return fail_output(rank, block,
                         "holds input block " + to_string(expressions_.block(value)) + " in place of " + to_string(expected.input_block));
    }
    if (const uint32_t lacked = expressions_.lacked_rank(value); lacked != kNoIndex) {
      return fail_output(rank, block, "lacks the input of rank " + to_string(lacked));
    }
    if (!expressions_.completed(value)) {
      return fail_output(rank, block, "holds all ranks' inputs, but no instruction on its way `completes`");
    }
    if (first_value != kNoIndex) {
      return fail_output(rank, block,
                         "is reduced in another order than on rank " + to_string(first_rank) +
                             ", so not to the same bits: " + expressions_.text(value) + " against " + expressions_.text(first_value));
    }
    first_value = value;
    first_rank = rank;
    return true;
  }

  std::string atom_text() const {
    const Fraction& begin = plan_.cuts[atom_];
    const Fraction& end = plan_.cuts[atom_ + 1];
    return describe(begin.num, begin.den, end.num, end.den);
  }

  bool fail(const std::string& what) {
    failure_ = {Code::kInvalidArgument, "symbolic: " + what};
    return false;
  }

  bool fail_output(uint32_t rank, uint32_t block, const std::string& what) {
    return fail("rank " + to_string(rank) + ": output block " + to_string(block) + ", part " + atom_text() + ", " + what);
  }

  bool fail_undefined(uint32_t id, bool dst) {
    const uint32_t strand = plan_.strand_of(id);
    const Instruction& instruction = plan_.instruction(strand, id - plan_.strand_begin[strand]);
    return fail(describe(plan_, id) + " reads " + describe(dst ? instruction.dst : instruction.src) + ", whose part " + atom_text() +
                " nobody has written yet");
  }

  bool fail_reduce(uint32_t id, uint32_t a, uint32_t b) {
    std::string sum = describe(plan_, id) + " reduces " + expressions_.text(a) + " with " + expressions_.text(b);
    if (expressions_.block(a) != expressions_.block(b)) {
      return fail(sum + ", which come from input blocks " + to_string(expressions_.block(a)) + " and " + to_string(expressions_.block(b)));
    }
    sum += " on part " + atom_text() + ": ";
    if (const uint32_t twice = expressions_.common_rank(a, b); twice != kNoIndex) {
      return fail(sum + "the input of rank " + to_string(twice) + " counts twice");
    }
    return fail(sum + "not the order of the ranks, in which the left operand ends at the rank before the right one's first");
  }

  bool fail_complete(uint32_t id, uint32_t value) {
    const std::string what = describe(plan_, id) + " completes " + expressions_.text(value) + " on part " + atom_text();
    if (expressions_.completed(value)) return fail(what + ", which an instruction before has completed");
    return fail(what + ", which lacks the input of rank " + to_string(expressions_.lacked_rank(value)));
  }

  const ResolvedPlan& plan_;
  const uint32_t inputs_;
  Expressions expressions_;
  std::vector<uint32_t> values_;    // of each cell, for the atom in hand: a node, or kNoIndex where undefined
  std::vector<uint32_t> messages_;  // of each message; both ends touch the same atoms, so what is received has been sent
  std::vector<uint32_t> atom_steps_begin_;
  std::vector<uint32_t> atom_steps_;
  std::vector<std::pair<uint32_t, uint32_t>> reduced_;  // of each input block: its reduction, and the first rank that held it
  uint32_t atom_ = 0;
  Status failure_;
};

}  // namespace

Status check_symbolic(const ResolvedPlan& plan, const std::vector<uint32_t>& order, bool rank_ordered) {
  return SymbolicRun(plan, order, rank_ordered).run();
}

}  // namespace tutti::verifier
