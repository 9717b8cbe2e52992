// SPDX-License-Identifier: MIT
/// A master weight in the scalar type that a product computes in.
///   w_T = w rounded to T
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>

#include <optional>
#include <type_traits>

namespace binllm {

/// y = x, as numbers of y's type.
struct Conversion {};

template <>
inline constexpr bool cuda::shipped<Conversion> = true;
template <class Device>
struct GenericKernel<Conversion, Device> {
  template <class T, class M>
  static void forward(View<const M, Device> x, View<T, Device> y) {
    Backend<Device>::map(y, formula::Identity{}, elements(x));
  }
};

/// The weight itself where it has that type, else a rounded copy in working memory, for the length of a kernel.
template <class T, class Device>
class InComputeType {
 public:
  InComputeType(Tape<Device>& tape, View<const master_t<T>, Device> weight) {
    if constexpr (std::is_same_v<T, master_t<T>>) {
      view_ = weight;
    } else {
      Kernel<Conversion, Device>::forward(weight, copy_.emplace(tape, weight.shape).view());
      view_ = copy_->view();
    }
  }
  [[nodiscard]] View<const T, Device> view() const noexcept { return view_; }

 private:
  std::optional<Temporary<T, Device>> copy_;
  View<const T, Device> view_;
};

/// A master weight in a list of `operation`: its value in T.
template <class T, class Device>
struct RoundedTo {
  Variable<master_t<T>, Device> weight;
  [[nodiscard]] InComputeType<T, Device> ready(Tape<Device>& tape) const { return {tape, read(weight.value())}; }
  template <class Use>
  void each_value(const Use& use) const {
    use(weight);
  }
};
template <class T, class Device>
[[nodiscard]] RoundedTo<T, Device> rounded_to(const Variable<master_t<T>, Device>& weight) {
  return {weight};
}

}  // namespace binllm
