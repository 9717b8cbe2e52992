// SPDX-License-Identifier: MIT
// Compiled when CMake configures: the object says how many estimators the library ships.
#include <binllm/policy/shipped.hpp>

constexpr auto count = binllm::ShippedEstimators<float>::size;
static_assert(count < 100);
extern const char shipped_estimators[];
const char shipped_estimators[] = {'b', 'i', 'n', 'l', 'l', 'm', ' ', 's', 'h', 'i', 'p', 's', ' ',
                                   '0' + count / 10, '0' + count % 10, '\n', '\0'};
