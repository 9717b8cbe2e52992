// SPDX-License-Identifier: MIT
#include <binllm/nn/plank.hpp>
struct WindmillArchitecture {};
using Windmill = Model<WindmillArchitecture, Dense>;
