// SPDX-License-Identifier: MIT
/// The state of a training with nothing in it, and the configuration of its run.
#pragma once
#include <binllm/train/run.hpp>

#include <array>
#include <cstdint>

namespace binllm::fuzz {

struct SmallRun {
  std::array<float, 4> values{1, 2, 3, 4};
  std::array<float, 3> moments{};
  std::uint64_t step = 0;

  [[nodiscard]] TrainingState parts() {
    return {{{"values", values.data(), sizeof values}, {"moments", moments.data(), sizeof moments}},
            {{"step", &step}},
            {{"both", sizeof values + sizeof moments, {{0, 0}, {1, sizeof values}}}}};
  }
};

inline constexpr std::string_view small_run_config = R"({"seed": 7, "steps": 4})";

}  // namespace binllm::fuzz
