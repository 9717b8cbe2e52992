// SPDX-License-Identifier: MIT
/// Tensors for tests: random contents, and comparisons that no NaN passes.
#pragma once
#include "support/plain_device.hpp"

#include <binllm/core/random.hpp>
#include <binllm/device/cpu.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <type_traits>

namespace binllm::test {

/// offset + scale * (standard normal numbers).
template <class T = double>
Tensor<T> normal_tensor(Shape shape, std::uint64_t seed, double scale = 1, double offset = 0) {
  Tensor<T> tensor(shape);
  const Random random(seed, Purpose::test);
  for (Index i = 0; i < tensor.size(); ++i) {
    tensor.view().data[i] = static_cast<T>(offset + scale * random.normal(static_cast<std::uint64_t>(i)));
  }
  return tensor;
}

/// Whole numbers in [-4, 4]: sums of their products are exact in float.
template <class T>
Tensor<T> whole_tensor(Shape shape, std::uint64_t seed) {
  Tensor<T> tensor(shape);
  const Random random(seed, Purpose::test);
  for (Index i = 0; i < tensor.size(); ++i) {
    tensor.view().data[i] = static_cast<T>(random.below(static_cast<std::uint64_t>(i), 9)) - T(4);
  }
  return tensor;
}

inline Tensor<std::int32_t> random_ids(Shape shape, Index bound, std::uint64_t seed) {
  Tensor<std::int32_t> ids(shape);
  const Random random(seed, Purpose::test);
  for (Index i = 0; i < ids.size(); ++i) {
    const std::uint64_t id = random.below(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(bound));
    ids.view().data[i] = static_cast<std::int32_t>(id);
  }
  return ids;
}

/// The contents of a view of any device, on the host.
template <class T, class Device>
Tensor<std::remove_const_t<T>> host(View<T, Device> view) {
  Tensor<std::remove_const_t<T>> copy(view.shape);
  Backend<Device>::copy(copy.view().data, view.data, static_cast<std::size_t>(view.size()) * sizeof(T));
  return copy;
}

/// A copy on a device of what lies on the host.
template <class Device, class T>
Tensor<T, Device> on_device(const Tensor<T>& tensor) {
  Tensor<T, Device> copy(tensor.shape());
  Backend<Device>::copy(copy.view().data, tensor.view().data, static_cast<std::size_t>(tensor.size()) * sizeof(T));
  return copy;
}
template <class T>
Tensor<T> list(std::initializer_list<T> values) {
  Tensor<T> tensor({static_cast<Index>(values.size())});
  std::copy(values.begin(), values.end(), tensor.view().data);
  return tensor;
}

/// max |a_i - b_i|; infinite where the sizes differ or a difference is NaN.
template <class A, class B>
double largest_difference(const A* a, Index size, const B* b, Index other_size) {
  double largest = size == other_size ? 0 : std::numeric_limits<double>::infinity();
  for (Index i = 0; i < std::min(size, other_size); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    largest = std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::max(largest, difference);
  }
  return largest;
}
template <class A, class B, class DeviceA, class DeviceB>
double largest_difference(View<A, DeviceA> a, View<B, DeviceB> b) {
  const auto left = host(a);
  const auto right = host(b);
  return largest_difference(left.view().data, left.size(), right.view().data, right.size());
}
template <class T>
double largest_difference(const Tensor<T>& a, const Tensor<T>& b) {
  return largest_difference(a.view(), b.view());
}
template <class T, class Device>
double largest_difference(View<T, Device> found, std::initializer_list<double> wanted) {
  const auto left = host(found);
  return largest_difference(left.view().data, left.size(), wanted.begin(), static_cast<Index>(wanted.size()));
}

template <class A, class B>
bool same_bits(View<A> a, View<B> b) {
  static_assert(std::is_same_v<std::remove_const_t<A>, std::remove_const_t<B>>);
  return a.size() == b.size() && std::memcmp(a.data, b.data, static_cast<std::size_t>(a.size()) * sizeof(A)) == 0;
}

/// A number of threads for the length of a scope, where the system has threads; one afterwards.
struct Threads {
  explicit Threads(int count) {
#if defined(__EMSCRIPTEN__) && !defined(__EMSCRIPTEN_PTHREADS__)
    count = 1;
#endif
    set_thread_count(count);
  }
  ~Threads() { set_thread_count(1); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
};

/// Calls body(Device{}) for every device of this build: the one list of them.
template <class Body>
void on_each_device(const Body& body) {
  body(Cpu{});
  body(Plain{});
}

}  // namespace binllm::test
