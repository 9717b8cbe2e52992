// SPDX-License-Identifier: MIT
/// temporary
#pragma once
#include <binllm/autodiff/variable.hpp>
namespace binllm {
template <class D>
class Stage {
 public:
  explicit Stage(Tape<D>&) {}
  template <class V>
  V keep(V v) { return v; }
  template <class V, class W, class... R>
  void keep(V, W, R...) {}
};
}
