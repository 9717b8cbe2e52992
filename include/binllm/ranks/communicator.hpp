// SPDX-License-Identifier: MIT
/// Several copies of a trainer, its *ranks*, and what they tell each other. A communicator is a value that the training
/// step holds; the one here is of a trainer on its own, and compiles to nothing.
#pragma once
#include <binllm/core/view.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

/// Elements [begin, begin + size) of a block: what one rank owns of it.
struct Share {
  Index begin = 0, size = 0;
};
/// Shares are whole lines of 64 bytes of floats. All are equal where `elements` divides into `ranks` such shares; else
/// the last ones are shorter, or empty.
inline constexpr Index share_step = 16;
[[nodiscard]] constexpr Share share_of(Index elements, Index rank, Index ranks) noexcept {
  const Index lines = (elements + share_step - 1) / share_step;
  const Index size = (lines + ranks - 1) / ranks * share_step;
  const Index begin = std::min(elements, rank * size);
  return {begin, std::min(elements, begin + size) - begin};
}
template <class T, class Device>
[[nodiscard]] constexpr View<T, Device> share_of(View<T, Device> view, Index rank, Index ranks) noexcept {
  const Share share = share_of(view.size(), rank, ranks);
  return {view.data + share.begin, Shape{share.size}};
}

/// Which of a communicator's works over views: they are begun, and end, in the order in which they are asked for.
using Work = std::uint64_t;

/// What ranks ask of each other. All ranks ask for the same, in the same order.
///
/// Works over views are *begun*: the call returns at once, the work follows what the device was asked for before, and
/// goes on beside what is asked for next, until `finish`. In between nobody may touch the view. On a GPU `finish` does
/// not stop the host: it says that what the device is asked for from now on comes after the work. What is begun in a
/// recorded step is finished in it.
///
/// Sums are in one order on all ranks: all have the same bits, and the same again for the same number of ranks. On CPUs it
/// is the order of ranks, and `sum` has the bits of `sum_share` and `gather_shares`.
///
/// Those of host data wait for all ranks. Errors of all: rank_failed, with the rank that failed and why.
template <class C>
concept Communicator = requires(C c, View<float, Cpu> view, double number, Work work, std::string_view bytes) {
  { c.rank() } -> std::convertible_to<Index>;
  { c.size() } -> std::convertible_to<Index>;
  { c.sum(view) } -> std::same_as<Work>;            // the sum over ranks, on all ranks
  { c.sum_share(view) } -> std::same_as<Work>;      // the same, in this rank's share of the view; the others: undefined
  { c.gather_shares(view) } -> std::same_as<Work>;  // each rank's share of the view, on all ranks
  c.finish(work);                                   // this work, and those begun before it
  c.finish();                                       // all of them
  { c.sum(number) } -> std::same_as<double>;
  { c.broadcast(bytes) } -> std::same_as<std::string>;            // those of rank 0, on all ranks
  { c.gather(bytes) } -> std::same_as<std::vector<std::string>>;  // those of each rank, on all ranks
  c.barrier();
};

struct Alone {
  [[nodiscard]] static constexpr Index rank() noexcept { return 0; }
  [[nodiscard]] static constexpr Index size() noexcept { return 1; }
  template <class T, class Device>
  static constexpr Work sum(View<T, Device>) noexcept {
    return 0;
  }
  template <class T, class Device>
  static constexpr Work sum_share(View<T, Device>) noexcept {
    return 0;
  }
  template <class T, class Device>
  static constexpr Work gather_shares(View<T, Device>) noexcept {
    return 0;
  }
  static constexpr void finish(Work) noexcept {}
  static constexpr void finish() noexcept {}
  [[nodiscard]] static constexpr double sum(double number) noexcept { return number; }
  [[nodiscard]] static std::string broadcast(std::string_view bytes) { return std::string(bytes); }
  [[nodiscard]] static std::vector<std::string> gather(std::string_view bytes) { return {std::string(bytes)}; }
  static constexpr void barrier() noexcept {}
};
static_assert(Communicator<Alone>);

}  // namespace binllm
