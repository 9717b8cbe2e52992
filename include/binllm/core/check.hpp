// SPDX-License-Identifier: MIT
/// The questions that every op asks of its arguments, with the answer that goes into the error.
#pragma once
#include <binllm/core/view.hpp>

#include <cstdint>
#include <string_view>

namespace binllm {

/// Errors: shape_mismatch with both shapes.
inline void check_shape(std::string_view operation, std::string_view argument, const Shape& found,
                        const Shape& wanted) {
  if (found == wanted) return;
  throw Error(ErrorId::shape_mismatch, operation, argument, to_string(wanted), to_string(found));
}

/// The last dimension of `found` must be `cols`. Errors: shape_mismatch.
inline void check_cols(std::string_view operation, std::string_view argument, const Shape& found, Index cols) {
  if (found.cols() == cols) return;
  throw Error(ErrorId::shape_mismatch, operation, argument, message("last dimension {}", cols), to_string(found));
}

/// Errors: rank_unsupported.
inline void check_rank(std::string_view operation, std::string_view argument, const Shape& found, int rank) {
  if (found.rank() == rank) return;
  throw Error(ErrorId::rank_unsupported, operation, argument, message("rank {}", rank), to_string(found));
}

/// Errors: empty_tensor.
inline void check_not_empty(std::string_view operation, std::string_view argument, const Shape& found) {
  if (found.size() > 0) return;
  throw Error(ErrorId::empty_tensor, operation, argument, "at least one element", to_string(found));
}

/// Every id must name a row of a table with `rows` rows; ids that the host cannot read are taken on trust.
/// Errors: token_out_of_range with the first offender.
template <class Device = Cpu>
void check_token_ids(std::string_view operation, View<const std::int32_t, Device> ids, Index rows) {
  if constexpr (host_accessible<Device>) {
    for (Index i = 0; i < ids.size(); ++i) {
      if (ids.data[i] >= 0 && ids.data[i] < rows) continue;
      throw Error(ErrorId::token_out_of_range, operation, message("ids[{}]", i), message("0 <= id < {}", rows),
                  message("{}", ids.data[i]));
    }
  }
}

}  // namespace binllm
