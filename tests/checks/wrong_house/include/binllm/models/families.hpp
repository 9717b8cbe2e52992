// SPDX-License-Identifier: MIT
#include <binllm/models/windmill.hpp>
using Families = List<WindmillArchitecture>;
