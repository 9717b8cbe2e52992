// SPDX-License-Identifier: MIT
/// The numbers by which GGUF names the types of tensors (ggml_type of ggml.h).
#pragma once
#include <binllm/core/dtype.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace binllm::detail {

inline constexpr std::array<std::pair<std::uint32_t, DType>, 12> gguf_types{{{0, DType::f32},
                                                                             {1, DType::f16},
                                                                             {2, DType::q4_0},
                                                                             {3, DType::q4_1},
                                                                             {6, DType::q5_0},
                                                                             {7, DType::q5_1},
                                                                             {8, DType::q8_0},
                                                                             {12, DType::q4_k},
                                                                             {13, DType::q5_k},
                                                                             {14, DType::q6_k},
                                                                             {30, DType::bf16},
                                                                             {41, DType::q1_0}}};

/// Types that are not read, for messages.
inline constexpr std::array<std::pair<std::uint32_t, std::string_view>, 22> gguf_foreign_types{
    {{9, "Q8_1"},     {10, "Q2_K"},  {11, "Q3_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
     {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"},
     {24, "I8"},      {25, "I16"},   {26, "I32"},    {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},
     {34, "TQ1_0"},   {35, "TQ2_0"}, {39, "MXFP4"},  {40, "NVFP4"}}};

}  // namespace binllm::detail
