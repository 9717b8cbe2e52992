// SPDX-License-Identifier: MIT
/// The methods after training that the library ships, and the only list of them: `binllm quantize --method`, its table
/// and its flags follow. A new method is its include and its line here, and its form, if that is new, in
/// methods/shipped.hpp.
#pragma once
#include <binllm/core/type_list.hpp>
#include <binllm/methods/post_training/arb_llm.hpp>
#include <binllm/methods/post_training/awq.hpp>
#include <binllm/methods/post_training/billm.hpp>
#include <binllm/methods/post_training/binary_factors.hpp>
#include <binllm/methods/post_training/gptq.hpp>
#include <binllm/methods/post_training/pb_llm.hpp>
#include <binllm/methods/post_training/rtn.hpp>

namespace binllm {

using ShippedPostTraining =
    TypeList<Rtn, Gptq, Awq, AwqGptq, PbLlmAfterTraining, BiLlm, Arb, ArbX, ArbRc, DoubleBinary>;

}  // namespace binllm
