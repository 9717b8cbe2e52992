// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/ranks/environment.hpp>

#include <cmath>
#include <initializer_list>
#include <limits>
#include <optional>

namespace binllm {

namespace {

constexpr double default_timeout = 20;

class Variables {
 public:
  explicit Variables(Getenv variable) : variable_(variable) {}

  [[nodiscard]] std::string text(const char* name) const {
    const char* const value = variable_(name);
    return value == nullptr ? "" : value;
  }
  [[nodiscard]] bool has(const char* name) const { return !text(name).empty(); }
  [[nodiscard]] std::optional<Index> number(const char* name, Index least, Index most) const {
    const std::string value = text(name);
    if (value.empty()) return std::nullopt;
    char* rest = nullptr;
    const long long found = std::strtoll(value.c_str(), &rest, 10);
    if (*rest != '\0' || found < least || found > most)
      throw Error(ErrorId::option_out_of_range, "ranks", name, fmt::format("{} to {}", least, most), value);
    return static_cast<Index>(found);
  }
  /// The first variable is there, so this one has to be.
  [[nodiscard]] Index needed(const char* name, const char* beside, Index least, Index most) const {
    if (const auto found = number(name, least, most)) return *found;
    throw Error(ErrorId::config_inconsistent, "ranks", name, fmt::format("a number, since {} is set", beside), "none");
  }

 private:
  Getenv variable_;
};

constexpr Index most_ranks = 1 << 20;

struct Names {
  const char *launcher, *rank, *size, *local_rank;
};
constexpr Names mpirun{"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"};
constexpr Names torchrun{"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK"};
constexpr Names srun{"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"};

RankEnvironment read(const Variables& v, const Names& names) {
  RankEnvironment e;
  e.launcher = names.launcher;
  e.size = v.needed(names.size, names.rank, 1, most_ranks);
  e.rank = v.needed(names.rank, names.size, 0, most_ranks);
  e.local_rank = v.needed(names.local_rank, names.rank, 0, most_ranks);
  if (e.rank >= e.size) {
    throw Error(ErrorId::config_inconsistent, "ranks", names.rank, fmt::format("below {} {}", names.size, e.size),
                fmt::format("{}", e.rank));
  }
  return e;
}

/// "gpu[03-07,9],login" -> "gpu03".
std::string first_of(const std::string& nodes) {
  const std::size_t end = nodes.find_first_of("[,");
  if (end == nodes.npos || nodes[end] == ',') return nodes.substr(0, end);
  return nodes.substr(0, end) + nodes.substr(end + 1, nodes.find_first_of("-,]", end + 1) - end - 1);
}

void add_meeting_point(RankEnvironment& e, const Variables& v) {
  e.host = v.text("MASTER_ADDR");
  e.port = static_cast<int>(v.number("MASTER_PORT", 1, 65535).value_or(0));
  if (e.launcher == mpirun.launcher) return;  // through MPI, unless both are given
  if (e.launcher == srun.launcher) {
    if (e.host.empty()) e.host = first_of(v.text("SLURM_STEP_NODELIST"));
    const Index job = v.number("SLURM_JOB_ID", 0, std::numeric_limits<Index>::max()).value_or(0);
    const Index step = v.number("SLURM_STEP_ID", 0, std::numeric_limits<Index>::max()).value_or(0);
    if (e.port == 0) e.port = static_cast<int>(20000 + (job * 16 + step) % 20000);
  }
  const char* const missing = e.host.empty() ? "MASTER_ADDR" : "MASTER_PORT";
  if (e.host.empty() || e.port == 0) {
    throw Error(ErrorId::config_inconsistent, "ranks", missing, fmt::format("one, beside that of {}", e.launcher),
                "none: where do the ranks meet?");
  }
  // There torchrun itself listens.
  if (v.text("TORCHELASTIC_USE_AGENT_STORE") == "True") e.port = e.port < 65535 ? e.port + 1 : e.port - 1;
}

}  // namespace

RankEnvironment read_environment(Getenv variable) {
  const Variables v(variable);
  const bool by_mpirun = v.has(mpirun.rank) || v.has(mpirun.size);
  const bool by_torchrun = v.has(torchrun.rank) || v.has(torchrun.size);
  const bool by_srun = v.has("SLURM_STEP_ID") && v.has(srun.size) && v.has(srun.rank);
  if (!by_mpirun && !by_torchrun && !by_srun) return {};
  RankEnvironment e = read(v, by_mpirun ? mpirun : by_torchrun ? torchrun : srun);
  if (by_mpirun && by_torchrun) {
    const RankEnvironment other = read(v, torchrun);
    if (other.rank != e.rank || other.size != e.size) {
      throw Error(ErrorId::config_inconsistent, "ranks", torchrun.rank,
                  fmt::format("rank {} of {}, as {} says", e.rank, e.size, mpirun.rank),
                  fmt::format("rank {} of {}: unset RANK and WORLD_SIZE", other.rank, other.size));
    }
  }
  add_meeting_point(e, v);
  return e;
}

double ranks_timeout(Getenv variable) {
  constexpr const char* name = "BINLLM_RANKS_TIMEOUT";
  const char* const value = variable(name);
  if (value == nullptr || *value == '\0') return default_timeout;
  char* rest = nullptr;
  const double seconds = std::strtod(value, &rest);
  if (*rest != '\0' || !std::isfinite(seconds) || (seconds != 0 && seconds < 3))
    throw Error(ErrorId::option_out_of_range, "ranks", name, "0, or at least 3 seconds", value);
  return seconds;
}

}  // namespace binllm
