// SPDX-License-Identifier: MIT
// The one main of every test program. Several run at once, so each has one thread where a test does not ask for more.
#define DOCTEST_CONFIG_IMPLEMENT
#include <binllm/device/thread_pool.hpp>

#include <doctest/doctest.h>

int main(int argc, char** argv) {
  binllm::set_thread_count(1);
  return doctest::Context(argc, argv).run();
}
