// SPDX-License-Identifier: MIT
/// Gradients of whole models whose linear layers are of kinds with statistics of rows, columns or matrices.
#include "support/any_model.hpp"

#include <binllm/methods/adabin.hpp>
#include <binllm/methods/binaryconnect.hpp>
#include <binllm/methods/bnn.hpp>
#include <binllm/methods/db_llm.hpp>
#include <binllm/methods/fbi_llm.hpp>
#include <binllm/methods/inq.hpp>
#include <binllm/methods/irnet.hpp>
#include <binllm/methods/pb_llm.hpp>
#include <binllm/methods/rbnn.hpp>
#include <binllm/models/erased.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("kinds with statistics: in a model, gradients of all but latent weights are those of finite differences") {
  using Model = ErasedModel<LlamaArchitecture, double, Cpu>;
  Model dense(tiny_config(), any_kind<double, Cpu>(Dense{}));
  initialise(dense, 3, 0.3);
  for_each_type<TypeList<BinaryConnect, Bnn, IrNet, Rbnn, AdaBin, FbiLlm, FbiLlmOf<Granularity::row>, Inq,
                         InqPowersOfTwo, PbLlm, DbLlm>>([&]<class K>() {
    CAPTURE(K::name);
    Model model = quantised(dense, any_kind<double, Cpu>(Quantised<K>{}));
    disturb(model);
    check_gradients(model, 1, [](const std::string& name) {
      // DB-LLM's scales move thresholds too, through which its estimator lets the gradient
      return !name.ends_with("_proj.weight") && (!std::is_same_v<K, DbLlm> || name.find("alpha") == std::string::npos);
    });
  });
}

TEST_CASE("inq: weights that are free have the gradient of a dense model") {
  using Model = ErasedModel<LlamaArchitecture, double, Cpu>;
  Model dense(tiny_config(), any_kind<double, Cpu>(Dense{}));
  initialise(dense, 3, 0.3);
  Model model = quantised(dense, any_kind<double, Cpu>(Quantised<Inq>{}));
  for (const auto& named : linear_layers(model))
    layer_as<Quantised<Inq>>(*named.linear).held.view().flat().setConstant(std::numeric_limits<double>::infinity());
  check_gradients(model, 1, every_parameter);
}
