// SPDX-License-Identifier: MIT
/// What a training divides among its ranks instead of keeping all of it on each (ZeRO: Rajbhandari et al., arXiv
/// 1910.02054). Bytes of a rank, of P parameters in float on N ranks, beside activations:
///
///     none        P (4 values + 4 gradients + 8 moments)
///     optimizer   P (4 values + 4 gradients + 8 / N moments)
///     gradients   P (4 values + 4 / N gradients + 8 / N moments) and the gradients of two layers
///     parameters  P (4 / N values + 4 / N gradients + 8 / N moments) and values and gradients of two layers
///
/// With gradients or parameters, those of the embedding, the last norm and the head are whole on each rank: they are no
/// layers, and stay for the whole step. For evaluations, milestones and saves each rank has all values for a while.
#pragma once
#include <binllm/core/type_list.hpp>

#include <array>
#include <concepts>
#include <string_view>

namespace binllm {

/// A policy of sharding answers three questions; whoever divides gradients divides the optimiser's state too, and whoever
/// divides values both.
template <class S>
concept Sharding = requires(const S& sharding) {
  { sharding.divides_optimizer() } -> std::same_as<bool>;
  { sharding.divides_gradients() } -> std::same_as<bool>;
  { sharding.divides_values() } -> std::same_as<bool>;
};

struct NoSharding {
  static constexpr std::string_view name = "none", summary = "every rank keeps all of it";
  [[nodiscard]] static constexpr bool divides_optimizer() noexcept { return false; }
  [[nodiscard]] static constexpr bool divides_gradients() noexcept { return false; }
  [[nodiscard]] static constexpr bool divides_values() noexcept { return false; }
};
struct ShardedOptimizer {
  static constexpr std::string_view name = "optimizer", summary = "the optimiser's state and its work";
  [[nodiscard]] static constexpr bool divides_optimizer() noexcept { return true; }
  [[nodiscard]] static constexpr bool divides_gradients() noexcept { return false; }
  [[nodiscard]] static constexpr bool divides_values() noexcept { return false; }
};
struct ShardedGradients {
  static constexpr std::string_view name = "gradients", summary = "gradients too, but for those of two layers";
  [[nodiscard]] static constexpr bool divides_optimizer() noexcept { return true; }
  [[nodiscard]] static constexpr bool divides_gradients() noexcept { return true; }
  [[nodiscard]] static constexpr bool divides_values() noexcept { return false; }
};
struct ShardedParameters {
  static constexpr std::string_view name = "parameters", summary = "values too, but for those of two layers";
  [[nodiscard]] static constexpr bool divides_optimizer() noexcept { return true; }
  [[nodiscard]] static constexpr bool divides_gradients() noexcept { return true; }
  [[nodiscard]] static constexpr bool divides_values() noexcept { return true; }
};
using ShippedShardings = TypeList<NoSharding, ShardedOptimizer, ShardedGradients, ShardedParameters>;

/// One that is chosen at run time, by name: for programs, which would have to be compiled once for each otherwise.
class AnySharding {
 public:
  AnySharding() = default;
  template <class S>
  requires NamedType<S> && Sharding<S>
  explicit(false) AnySharding(const S& chosen)
      : name_(S::name),
        optimizer_(chosen.divides_optimizer()),
        gradients_(chosen.divides_gradients()),
        values_(chosen.divides_values()) {}
  /// Errors: unknown_name.
  [[nodiscard]] static AnySharding named(std::string_view name) {
    AnySharding found;
    with_named<ShippedShardings>("sharding", "name", name, [&]<class S>() { found = S{}; });
    return found;
  }
  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] bool divides_optimizer() const noexcept { return optimizer_; }
  [[nodiscard]] bool divides_gradients() const noexcept { return gradients_; }
  [[nodiscard]] bool divides_values() const noexcept { return values_; }

 private:
  std::string_view name_ = NoSharding::name;
  bool optimizer_ = false, gradients_ = false, values_ = false;
};
static_assert(Sharding<AnySharding>);

}  // namespace binllm
