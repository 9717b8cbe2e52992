// SPDX-License-Identifier: MIT
#include "support/tensors.hpp"

#include <binllm/device/assign.hpp>
#include <binllm/device/replay.hpp>

#include <doctest/doctest.h>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("fill and accumulate write what is fresh and add to what is not") {
  on_each_device([]<class Device>(Device) {
    Tensor<double, Device> x({2, 2}), y({2, 2});
    Kernel<Fill, Device>::forward(3.0, Gradient<double, Device>(x.view(), true));
    CHECK(largest_difference(read(x.view()), {3, 3, 3, 3}) == 0);
    Kernel<Fill, Device>::forward(2.0, Gradient<double, Device>(x.view()));
    CHECK(largest_difference(read(x.view()), {5, 5, 5, 5}) == 0);
    Kernel<Fill, Device>::forward(1.0, Gradient<double, Device>(y.view(), true));
    Kernel<Accumulate, Device>::forward(read(x.view()), Gradient<double, Device>(y.view()));
    CHECK(largest_difference(read(y.view()), {6, 6, 6, 6}) == 0);
    Kernel<Accumulate, Device>::forward(read(x.view()), Gradient<double, Device>(y.view(), true));
    CHECK(largest_difference(read(y.view()), {5, 5, 5, 5}) == 0);
  });
}

TEST_CASE("a strided copy moves columns out of wider rows") {
  on_each_device([]<class Device>(Device) {
    const Tensor<double> wide = normal_tensor({3, 5}, 1);
    Tensor<double, Device> from({3, 5}), to({3, 2});
    Backend<Device>::copy(from.view().data, wide.view().data, 15 * sizeof(double));
    Kernel<StridedCopy, Device>::forward(Elements<double>{from.view().data + 1, 5}, Target<double>(to.view()));
    for (Index r = 0; r < 3; ++r) {
      for (Index c = 0; c < 2; ++c) CHECK(to.view().data[2 * r + c] == wide.view().data[5 * r + c + 1]);
    }
  });
}

TEST_CASE("normal numbers do not depend on how they are computed") {
  on_each_device([]<class Device>(Device) {
    const Random random(5, Purpose::test, 7);
    Tensor<double, Device> x({7, 11});
    Kernel<NormalFill, Device>::forward(random, 0.5, x.view());
    for (Index i = 0; i < x.size(); ++i) CHECK(x.view().data[i] == 0.5 * random.normal(static_cast<std::uint64_t>(i)));
  });
}

TEST_CASE("a device that records nothing runs a body every time") {
  Replay<Cpu> replay;
  int runs = 0;
  for (int call = 0; call < 4; ++call) replay([&] { ++runs; });
  CHECK(runs == 4);
}
