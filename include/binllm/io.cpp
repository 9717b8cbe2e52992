// SPDX-License-Identifier: MIT
// What io.hpp declares as compiled.
#include <binllm/io.hpp>

namespace binllm {

template Llama<float> load_model(const std::filesystem::path&);
template Pretrained<Llama<float>> load_pretrained(const std::filesystem::path&);
template Llama<float, Cpu, Packed> load_model(const std::filesystem::path&);
template Pretrained<Llama<float, Cpu, Packed>> load_pretrained(const std::filesystem::path&);
template void save(const Llama<float>&, const std::filesystem::path&, const SaveOptions&);
template void save(const Llama<float, Cpu, Packed>&, const std::filesystem::path&, const SaveOptions&);

}  // namespace binllm
