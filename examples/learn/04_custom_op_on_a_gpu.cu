// SPDX-License-Identifier: MIT
// An op of one's own for every device: its definition, on the services that all devices have, is all there is to write.
// This file is a .cu, so that nvcc translates the formulas for the GPU as well.
#include <binllm/binllm.hpp>

#include <fmt/core.h>

#include <string>

namespace bl = binllm;

/// Rows without their mean:
///   y[r,c] = x[r,c] - m[r],   m[r] = mean_c x[r,c]
/// Backward:
///   dx[r,c] += dy[r,c] - mean_c dy[r,c]
struct Centre {
  struct Difference {
    template <class X>
    constexpr X operator()(const X& x, const X& mean) const {
      return x - mean;
    }
  };
};

template <class Device>
struct bl::GenericKernel<Centre, Device> {
  /// `mean` is one number a row of working memory, here and in backward.
  template <class T>
  static void forward(View<const T, Device> x, View<T, Device> mean, View<T, Device> y) {
    using B = Backend<Device>;
    B::template row_reduce<Sum>(mean, x.cols(), Times<T>{1 / static_cast<T>(x.cols())}, elements(x));
    B::map(y, Centre::Difference{}, elements(x), per_row(mean));
  }
  template <class T>
  static void backward(View<const T, Device> dy, View<T, Device> mean, View<T, Device> dx) {
    using B = Backend<Device>;
    B::template row_reduce<Sum>(mean, dy.cols(), Times<T>{1 / static_cast<T>(dy.cols())}, elements(dy));
    B::template map<Write::accumulate>(dx, Centre::Difference{}, elements(dy), per_row(mean));
  }
};

template <class T, class Device>
bl::Variable<T, Device> centre(bl::Variable<T, Device> x) {
  const auto mean = bl::working<T>({x.shape().rows()});
  return bl::operation<Centre>("centre", x.shape(), bl::forward(x, mean),
                               bl::backward(bl::result_gradient, mean, bl::gradient(x)));
}

template <class T, class Device>
std::string text_of(bl::View<T, Device> block) {
  const bl::OnHost copy(bl::read(block));
  std::string text;
  for (bl::Index i = 0; i < block.size(); ++i) text += fmt::format(" {:6.3f}", copy.view().data[i]);
  return text;
}

/// What the op and its gradient are on a device.
template <class Device>
std::string demonstration() {
  bl::Tape<Device> tape;
  const auto x = tape.template variable<float>({{1, 2, 6}, {-4, 0, 1}});
  const auto y = centre(x);
  tape.backward(bl::mean(bl::multiply(y, bl::silu(y))));
  return fmt::format("y  {}\ndx {}\n", text_of(y.value()), text_of(x.gradient()));
}

int main() {
  const std::string on_cpu = demonstration<bl::Cpu>();
  fmt::print("{}", on_cpu);
  bl::Tensor<double> at({3, 5});
  for (bl::Index i = 0; i < at.size(); ++i) at.view().data[i] = static_cast<double>(i * i % 7) - 3;
  const auto loss = [](auto&, auto x) { return bl::mean(bl::silu(centre(x))); };
  fmt::print("gradient error below 1e-6: {}\n", bl::gradcheck(loss, at).relative < 1e-6);
  if (bl::cuda::device_count() == 0) {
    fmt::print("> no GPU here to compute the same\n");
  } else if (demonstration<bl::Cuda>() == on_cpu) {
    fmt::print("> the same on a GPU: {}\n", bl::cuda::device_name());
  } else {
    fmt::print("on a GPU:\n{}", demonstration<bl::Cuda>());
  }
}
