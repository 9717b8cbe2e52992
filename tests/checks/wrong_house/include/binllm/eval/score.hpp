// SPDX-License-Identifier: MIT
#include <binllm/models/windmill.hpp>
/// Windmill in a comment is prose, and Windmills is another word.
double score(const WindmillConfig& config);
/* Windmill
   Dense */ int Windmills;
double score(const Model<Any, Dense>& model);
const char* architecture = "WindmillForCausalLM \" // no comment"; Windmill after;
