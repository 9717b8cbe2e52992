// SPDX-License-Identifier: MIT
// The GPU itself: which one, its memory, copies, recorded work, and what goes wrong.
#include "cuda/whole_numbers.hpp"
#include "support/errors.hpp"

#include <binllm/device/replay.hpp>

#include <numeric>

using namespace binllm;
using namespace binllm::test;
using B = Backend<Cuda>;

TEST_CASE("cuda: without a GPU every use says so, and the program goes on") {
  if (binllm::cuda::device_count() > 0) return;
  CHECK(id_of([] { (void)B::allocate(1); }) == ErrorId::device_missing);
  CHECK(id_of([] { Tensor<float, Cuda> tensor(Shape{3}); }) == ErrorId::device_missing);
  CHECK(id_of([] { binllm::cuda::use_device(0); }) == ErrorId::device_missing);
  CHECK(id_of([] { (void)binllm::cuda::memory(); }) == ErrorId::device_missing);
}

TEST_CASE("cuda services: a GPU that does not exist is refused, and the chosen one stays") {
  if (!gpu()) return;
  CHECK(!binllm::cuda::device_name().empty());
  CHECK(id_of([] { binllm::cuda::use_device(-1); }) == ErrorId::device_missing);
  CHECK(id_of([] { binllm::cuda::use_device(binllm::cuda::device_count()); }) == ErrorId::device_missing);
  binllm::cuda::use_device(binllm::cuda::Runtime<>::device());
  if (binllm::cuda::device_count() > 1) {  // the other one is refused while the first is in use
    CHECK(id_of([] { binllm::cuda::use_device(1 - binllm::cuda::Runtime<>::device()); }) == ErrorId::device_failed);
  }
}

TEST_CASE("cuda services: memory that is not there is refused with the numbers, and the process goes on") {
  if (!gpu()) return;
  try {
    (void)B::allocate(std::size_t{1} << 46);
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::out_of_memory);
    CHECK(error.found().find("70368744177664") != std::string::npos);
    CHECK(error.found().find(std::to_string(binllm::cuda::memory().total)) != std::string::npos);
  }
  const auto before = binllm::cuda::memory().used;
  {
    const auto tensor = on_device<Cuda>(wholes<float>({1000}, 1));
    CHECK(wrong(host(tensor.view()), whole_tensor<double>({1000}, 1)) == 0);
    CHECK(binllm::cuda::memory().used >= before + 4000);
    binllm::cuda::reset_peak_memory();
    CHECK(binllm::cuda::memory().peak >= binllm::cuda::memory().used);
  }
  B::synchronise();
  CHECK(binllm::cuda::memory().used == before);
}

TEST_CASE("cuda services: copies both ways and on the device, and zeros") {
  if (!gpu()) return;
  for (const Index bytes : {0, 1, 3, 4096, 1000003}) {
    Tensor<std::uint8_t> there(Shape{bytes}), back(Shape{bytes});
    for (Index i = 0; i < bytes; ++i) there.view().data[i] = static_cast<std::uint8_t>(i * 7 % 251);
    Tensor<std::uint8_t, Cuda> first(Shape{bytes}), second(Shape{bytes});
    const auto size = static_cast<std::size_t>(bytes);
    B::copy(first.view().data, there.view().data, size);
    B::copy(second.view().data, first.view().data, size);
    B::copy(back.view().data, second.view().data, size);
    B::synchronise();
    CHECK(same_bits(read(back.view()), read(there.view())));
    if (bytes < 2) continue;
    B::zero(second.view().data + 1, size - 1);
    B::copy(back.view().data, second.view().data, size);
    B::synchronise();
    CHECK(back.view().data[0] == there.view().data[0]);
    CHECK(std::accumulate(back.view().data + 1, back.view().data + bytes, 0) == 0);
  }
}

TEST_CASE("cuda services: a replayed body gives what running it gives") {
  if (!gpu()) return;
  Tensor<float, Cuda> x(Shape{33}), y(Shape{33}), total(Shape{1});
  Replay<Cuda> replay;
  Tensor<double> wanted({33});
  for (std::uint64_t call = 0; call < 7; ++call) {
    const auto values = whole_tensor<float>({33}, call);
    copy_to_device(read(values.view()), x.view());
    replay([&] {
      B::map<Write::accumulate>(y.view(), Mixture{}, elements(y.view()), elements(x.view()));
      B::row_reduce<Sum>(total.view(), 33, formula::Identity{}, elements(y.view()));
    });
    double sum = 0;
    for (Index i = 0; i < 33; ++i) {
      wanted.view().data[i] += wanted.view().data[i] + 2 * number(values, i);
      sum += wanted.view().data[i];
    }
    CHECK(wrong(host(y.view()), wanted) == 0);
    CHECK(static_cast<double>(scalar_on_host(total.view())) == sum);
  }
}

TEST_CASE("cuda services: an error while a body is recorded leaves the device usable") {
  if (!gpu()) return;
  Replay<Cuda> replay;
  Tensor<float, Cuda> x(Shape{5});
  int calls = 0;
  const auto body = [&] {
    B::map<Write::accumulate>(x.view(), formula::Identity{}, Constant<float>{1});
    if (++calls == 3) throw Error(ErrorId::device_failed, "body", "calls", "another", "the third");
  };
  replay(body);
  replay(body);
  CHECK(id_of([&] { replay(body); }) == ErrorId::device_failed);
  replay(body);  // what was abandoned has not run
  replay(body);
  CHECK(largest_difference(x.view(), {4, 4, 4, 4, 4}) == 0);
}
