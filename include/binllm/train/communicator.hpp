// SPDX-License-Identifier: MIT
/// Several copies of a trainer, and what they tell each other. A communicator is a value that the training step holds;
/// the one here is of a trainer on its own, and compiles to nothing.
#pragma once
#include <binllm/core/view.hpp>

#include <concepts>

namespace binllm {

/// What a training step asks for. Sums are over all ranks, in place and in one order on all of them; those of views are
/// work for the device, asked for unit by unit of the parameter block, so that they may go on while others are made.
/// Every unit of a block divides into ParameterBlock::shares equal parts. The step of this library sums whole units; the
/// two of shares are for one that divides the optimiser's state among the ranks.
template <class C>
concept Communicator = requires(C c, View<float, Cpu> view, double number) {
  { c.rank() } -> std::convertible_to<Index>;
  { c.size() } -> std::convertible_to<Index>;
  c.sum(view);                                  // view of all ranks, on all ranks
  c.sum_share(view);                            // the same, of this rank's share of the view alone
  c.gather_shares(view);                        // each rank's share of the view, on all ranks
  { c.sum(number) } -> std::same_as<double>;    // numbers of the host
};

struct Alone {
  [[nodiscard]] static constexpr Index rank() noexcept { return 0; }
  [[nodiscard]] static constexpr Index size() noexcept { return 1; }
  template <class T, class Device>
  static constexpr void sum(View<T, Device>) noexcept {}
  template <class T, class Device>
  static constexpr void sum_share(View<T, Device>) noexcept {}
  template <class T, class Device>
  static constexpr void gather_shares(View<T, Device>) noexcept {}
  [[nodiscard]] static constexpr double sum(double number) noexcept { return number; }
};
static_assert(Communicator<Alone>);

}  // namespace binllm
