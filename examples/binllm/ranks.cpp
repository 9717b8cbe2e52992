// SPDX-License-Identifier: MIT
#include "ranks.hpp"

#include "launch.hpp"

#include <binllm/device/thread_pool.hpp>
#include <binllm/io/any/gpu_ranks.hpp>
#include <binllm/ranks/environment.hpp>
#include <binllm/ranks/open.hpp>

#include <fmt/core.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace program {

using binllm::Error;
using binllm::ErrorId;

binllm::AnyCommunicator& ranks_of_process() {
  static binllm::AnyCommunicator ranks;
  return ranks;
}

std::string rank_prefix() {
  const auto& ranks = ranks_of_process();
  return ranks.rank() == 0 ? std::string() : fmt::format("rank {}: ", ranks.rank());
}

bool said_by_rank_0(const Error& error) {
  if (error.id() != ErrorId::rank_failed || ranks_of_process().rank() == 0) return false;
  const bool of_rank_0 = error.argument().starts_with("rank 0");
  return !of_rank_0 || !error.found().starts_with("one that ");  // that begin is the watch's: rank 0 itself is silent
}

namespace {

LaunchedRank rank_of_process(binllm::Index devices) {
  const binllm::RankEnvironment environment = binllm::read_environment();
  if (environment.launcher.empty()) return devices > 1 ? launch(devices) : LaunchedRank{environment};
  if (devices > 1) {
    throw Error(ErrorId::config_inconsistent, "binllm", "--devices",
                fmt::format("none beside {}, which says how many ranks there are", environment.launcher),
                fmt::format("{}", devices));
  }
  return {environment};
}

/// Its part of the processors that it may run on: of ranks that may run on exactly the same ones of the same host, each
/// has as many.
int threads_of_rank(const binllm::AnyCommunicator& ranks) {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ::sched_getaffinity(0, sizeof allowed, &allowed);
  const std::string place = std::string(host).append(reinterpret_cast<const char*>(&allowed), sizeof allowed);
  const std::vector<std::string> places = ranks.gather(place);
  return std::max(1, binllm::machine_threads() / static_cast<int>(std::count(places.begin(), places.end(), place)));
}

}  // namespace

void RanksFlags::apply(const Common& common, DeviceChoice& device, bool dry_run) {
  if (dry_run) {
    dry_run_of_ = devices;
    common.apply();
    device.apply();
    return;
  }
  auto [environment, listener] = rank_of_process(devices);
  common.apply();
  if (environment.size == 1) {
    device.apply();
    return;
  }
  auto host = binllm::open_host_ranks(environment, std::move(listener));
  ranks_of_process() = binllm::AnyCommunicator(host);
  const int threads = threads_of_rank(ranks_of_process());  // all take part, whatever their own --threads
  if (common.threads == 0) binllm::set_thread_count(threads);
  if (device.device.starts_with("cuda")) {
    if (device.device != "cuda") {
      throw Error(ErrorId::config_inconsistent, "binllm", "--device", "cuda: each rank takes the GPU of its number",
                  device.device);
    }
    const bool one_each = binllm::gpu_count() == 1;  // a launcher may show each rank its own alone
    device.device = fmt::format("cuda:{}", one_each ? 0 : environment.local_rank);
    device.apply();
    ranks_of_process() = binllm::ranks_on_gpus(std::move(host));
  } else {
    device.apply();
  }
  ranks = ranks_of_process();
}

}  // namespace program
