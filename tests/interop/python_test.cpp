// SPDX-License-Identifier: MIT
// examples/python_reads_it.py reads what the library saves, with NumPy alone.
#include "io/support.hpp"

#include <binllm/interop/npy.hpp>
#include <binllm/io/containers/safetensors.hpp>

#include <array>
#include <cstdio>
#include <numeric>

using namespace binllm;
using namespace binllm::test;

namespace {

/// $BINLLM_PYTHON, else python3; nothing (said aloud) where it has no NumPy.
std::optional<std::string> python() {
  const char* const chosen = std::getenv("BINLLM_PYTHON");
  const std::string program = chosen != nullptr ? chosen : "python3";
  if (std::system((program + " -c 'import numpy' >/dev/null 2>&1").c_str()) == 0) return program;
  MESSAGE("skipped: ", program, " is not there, or without NumPy");
  return std::nullopt;
}

std::string output_of(const std::string& command) {
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string out;
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) out.append(buffer.data(), n);
  CHECK(::pclose(pipe) == 0);
  return out;
}

}  // namespace

TEST_CASE("NumPy reads .npy files and model folders, packed signs too") {
  const auto program = python();
  if (!program) return;
  const TemporaryFolder folder;
  Tensor<float> counted({2, 3});
  std::iota(counted.view().data, counted.view().data + counted.size(), 1.0f);
  save_npy((folder / "counted.npy").string(), counted.view());

  // The signs are the example of the layout in docs/file-formats.md.
  const std::array<float, 2> scale{0.5f, 2.0f};
  const std::array<float, 10> input_scale{1, 1, 1, 1, 1, 1, 1, 1, 1, 3};
  const std::array<std::uint8_t, 4> signs{0xb9, 0x02, 0x80, 0x03};
  const std::array<std::uint16_t, 2> halves{0x3f80, 0xc000};  // 1 and -2 in BF16
  SafetensorsWriter writer(folder / "model.safetensors", {{"a.q_proj.signs", DType::u8, {2, 2}},
                                                          {"a.q_proj.scale", DType::f32, {2}},
                                                          {"a.q_proj.input_scale", DType::f32, {10}},
                                                          {"norm.weight", DType::bf16, {2}}});
  writer.append(std::as_bytes(std::span(signs)));
  writer.append(std::as_bytes(std::span(scale)));
  writer.append(std::as_bytes(std::span(input_scale)));
  writer.append(std::as_bytes(std::span(halves)));
  writer.commit();
  write_text(folder / "config.json", R"({"hidden_size": 10, "num_attention_heads": 2, "intermediate_size": 20})");
  const std::string out = output_of(*program + " " + BINLLM_SOURCE_DIR + "/examples/python_reads_it.py " +
                                    (folder / "counted.npy").string() + " " + folder.path().string());
  // Row 0 has six + and four -, row 1 three + and seven -; the last of each is a +, which counts three times.
  CHECK(out ==
        "counted.npy float32 (2, 3) 21\n"
        "a.q_proj.input_scale float32 (10,) 12\n"
        "a.q_proj.scale float32 (2,) 2.5\n"
        "a.q_proj.signs uint8 (2, 2) 318\n"
        "a.q_proj.weight float64 (2, 10) -2\n"
        "norm.weight float32 (2,) -1\n");
}
