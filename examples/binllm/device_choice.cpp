// SPDX-License-Identifier: MIT
#include "device_choice.hpp"

#include "memory_report.hpp"

#include <binllm/core/error.hpp>
#include <binllm/core/process_memory.hpp>
#include <binllm/device/thread_pool.hpp>

#include <fmt/core.h>

#include <charconv>

namespace program {

namespace {

using binllm::Error;
using binllm::ErrorId;

/// N of "cuda:N", 0 of "cuda", nothing of "cpu". Errors: unknown_name.
std::optional<int> gpu_index(const std::string& device) {
  constexpr std::string_view with_index = "cuda:";
  if (device == "cpu") return std::nullopt;
  if (device == "cuda") return 0;
  int index = -1;
  const char* const end = device.data() + device.size();
  if (device.starts_with(with_index)) {
    const auto [rest, error] = std::from_chars(device.data() + with_index.size(), end, index);
    if (error == std::errc{} && rest == end && index >= 0) return index;
  }
  throw Error(ErrorId::unknown_name, "binllm", "--device", "cpu, cuda or cuda:N", device);
}

}  // namespace

void DeviceChoice::add_to(CLI::App& command) {
  command.add_option("--device", device, "where to compute: cpu, cuda or cuda:N")->capture_default_str();
  command
      .add_option("--precision", precision,
                  "float32; on a GPU also tf32 (products on tensor cores) or bf16 (parameters stay float)")
      ->capture_default_str();
}

void DeviceChoice::apply() {
  const std::optional<int> index = gpu_index(device);
  if (precision != "float32" && precision != "tf32" && precision != "bf16") {
    throw Error(ErrorId::unknown_name, "binllm", "--precision", "float32, tf32 or bf16", precision);
  }
  if (!index && precision != "float32") {
    throw Error(ErrorId::config_inconsistent, "binllm", "--precision", "float32 on the CPU, or --device cuda",
                precision);
  }
  if (index) gpu = choose_gpu(*index, precision == "tf32");
}

std::string DeviceChoice::description() const {
  if (!gpu) return fmt::format("{} threads", binllm::thread_pool().size());
  return fmt::format("{} ({:.1f} GB), {}", gpu->name, static_cast<double>(gpu->total_bytes) / 1e9, precision);
}

void DeviceChoice::add_to(nlohmann::ordered_json& object) const {
  object["device"] = {{"name", device}};
  if (gpu) {
    object["device"]["gpu"] = gpu->name;
    object["device"]["memory_bytes"] = gpu->total_bytes;
  }
  object["precision"] = precision;
}

void DeviceChoice::add_peaks_to(nlohmann::ordered_json& object) const {
  object["peak_resident_bytes"] = binllm::peak_resident_bytes();
  if (gpu) object["peak_gpu_bytes"] = peak_gpu_bytes();
}

std::string DeviceChoice::peaks() const {
  const std::string host = in_megabytes(binllm::peak_resident_bytes());
  return gpu ? fmt::format("{}, and {} of the GPU's", host, in_megabytes(peak_gpu_bytes())) : host;
}

}  // namespace program
