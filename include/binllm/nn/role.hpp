// SPDX-License-Identifier: MIT
/// Where linear layers stand in a decoder layer.
#pragma once

namespace binllm {

/// The four places of a decoder layer where one activation enters linear layers: q, k and v; o; the first layers of the
/// feed-forward network; its last one.
enum class Role { attention_in, attention_out, mlp_in, mlp_out };

}  // namespace binllm
