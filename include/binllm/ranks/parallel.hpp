// SPDX-License-Identifier: MIT
/// How a training is spread over ranks: who they are, and what is divided among them.
#pragma once
#include <binllm/ranks/communicator.hpp>
#include <binllm/ranks/sharding.hpp>

#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace binllm {

/// The last argument of every trainer:
///
///     pretrain(model, corpus, options, nullptr, &log, NextToken{}, Parallel{mpi, ShardedGradients{}});
///
/// Communicators are handles, so copies of one are one.
template <Communicator C = Alone, Sharding S = NoSharding>
struct Parallel {
  C ranks{};
  S sharding{};
};
template <class C>
Parallel(C) -> Parallel<C>;
template <class C, class S>
Parallel(C, S) -> Parallel<C, S>;

/// Whether a rank can tell the others that it ends: they would wait for it otherwise.
template <class C>
concept TellsOfFailure = requires(C& communicator, std::string_view why) {
  communicator.fail(why);
};

/// f(), which all ranks do together. Where it throws, the other ranks hear why, and end as well.
template <Communicator C, class F>
auto together(C& communicator, const F& f) {
  if constexpr (TellsOfFailure<C>) {
    try {
      return f();
    } catch (const std::exception& error) {
      communicator.fail(error.what());
      throw;
    }
  } else {
    return f();
  }
}

/// Whether a failure of another rank may end this process meanwhile, and that can be deferred.
template <class C>
concept DefersExit = requires(C& communicator, bool on) {
  communicator.defer_exit(on);
};
/// While one lives, a failure of another rank does not end this process, which saves; for some seconds at most.
template <Communicator C>
class ExitDeferred {
 public:
  explicit ExitDeferred(C& communicator) : communicator_(communicator) { defer(true); }
  ~ExitDeferred() { defer(false); }
  ExitDeferred(const ExitDeferred&) = delete;
  ExitDeferred& operator=(const ExitDeferred&) = delete;

 private:
  void defer(bool on) {
    if constexpr (DefersExit<C>) communicator_.defer_exit(on);
  }
  [[maybe_unused]] C& communicator_;
};

/// Adds up each of some numbers of the host over all ranks, from rank 0 on, in one exchange.
template <Communicator C>
void sum_numbers(C& communicator, std::span<double> numbers) {
  if (communicator.size() == 1) return;
  const std::string_view mine{reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes()};
  const auto all = communicator.gather(mine);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = 0;
    for (const std::string& bytes : all) {
      double one = 0;
      bytes.copy(reinterpret_cast<char*>(&one), sizeof one, i * sizeof one);
      numbers[i] += one;
    }
  }
}
/// What rank 0 says, on all ranks. The others' `value` is not looked at.
template <Communicator C, class X>
requires std::is_trivially_copyable_v<X>
[[nodiscard]] X of_first_rank(C& communicator, X value) {
  if (communicator.size() == 1) return value;
  const std::string bytes = communicator.broadcast({reinterpret_cast<const char*>(&value), sizeof value});
  bytes.copy(reinterpret_cast<char*>(&value), sizeof value);
  return value;
}

}  // namespace binllm
