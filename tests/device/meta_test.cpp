// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/sanitizers.hpp"
#include "support/tensors.hpp"

#include <binllm/device/host.hpp>
#include <binllm/device/meta.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {
using B = Backend<Meta>;
}  // namespace

TEST_CASE("meta: blocks are counted while they live, and the peak until it is reset") {
  const std::size_t reserved = B::reserved().now, used = B::used().now;
  B::reset_peaks();
  {
    const Tensor<float, Meta> a({1000}), b({3, 7});
    CHECK(B::reserved().now - reserved == 4000 + 84);
    CHECK(B::used().now - used == 4000 + 84);  // a tensor is zeroed, which uses all of it
  }
  CHECK(B::reserved().now == reserved);
  CHECK(B::used().now == used);
  CHECK(B::reserved().peak - reserved == 4084);
  CHECK(B::used().peak - used == 4084);
  B::reset_peaks();
  CHECK(B::reserved().peak == reserved);
  CHECK(B::used().peak == used);
}

TEST_CASE("meta: a block counts as used up to the last byte that was ever used, and no further than it goes") {
  const std::size_t before = B::used().now;
  auto* const block = static_cast<std::byte*>(B::allocate(10'000));
  const auto used = [&] { return B::used().now - before; };
  CHECK(used() == 0);
  B::use(block + 1000, 500);
  CHECK(used() == 1500);
  B::use(block, 800);
  CHECK(used() == 1500);
  B::zero(block + 9000, 5000);
  CHECK(used() == 10'000);
  std::byte on_host{};
  B::use(&on_host, 1);
  CHECK(used() == 10'000);
  B::release(block);
  CHECK(used() == 0);
  B::release(nullptr);
  B::release(B::allocate(0));
}

TEST_CASE("meta: terabytes take no memory; more than the address space is refused" * doctest::skip(sanitized)) {
  const Tensor<double, Meta> large({1 << 20, 1 << 20});
  CHECK(B::reserved().now >= std::size_t{8} << 40);
  CHECK(large.view().slice(1000).data - large.view().data == Index{1000} << 20);
  CHECK(id_of([] { (void)B::allocate(std::size_t{1} << 60); }) == ErrorId::out_of_memory);
}

TEST_CASE("meta: what comes to the host is 0") {
  const auto device = on_device<Meta>(list<float>({1, 2, 3}));
  CHECK(largest_difference(device.view(), {0, 0, 0}) == 0);
  CHECK(scalar_on_host(device.view()) == 0);
  CHECK(OnHost(device.view()).view().size() == 3);
  Tensor<float, Meta> other({3});
  B::copy(other.view().data, device.view().data, 12);  // between blocks of the device nothing is touched
  float kept = 5;
  B::copy(&kept, device.view().data, 0);
  CHECK(kept == 5);
}

TEST_CASE("meta: reading through a pointer ends the program at once" * doctest::skip(sanitized)) {
  const Tensor<float, Meta> tensor({4});
  const volatile float* const pointer = tensor.view().data;
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    const float value = *pointer;
    ::_exit(value == 0 ? 1 : 2);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
}

TEST_CASE("meta: counts of several threads add up") {
  const std::size_t before = B::used().now;
  B::reset_peaks();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int k = 0; k < 200; ++k) const Tensor<float, Meta> tensor({100});
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(B::used().now == before);
  CHECK(B::used().peak - before >= 400);
  CHECK(B::used().peak - before <= 1600);
}
