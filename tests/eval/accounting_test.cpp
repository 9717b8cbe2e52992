// SPDX-License-Identifier: MIT
#include "support/errors.hpp"

#include <binllm/eval/accounting.hpp>
#include <binllm/models/families.hpp>
#include <binllm/models/shapes.hpp>

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <array>
#include <string>

using namespace binllm;
using namespace binllm::test;

namespace {

ShapeCounts counts_of(std::string_view name, Index parameters = 0) {
  const PublishedShape& shape = published_shape(name);
  const Family* family = nullptr;
  for (const Family* const one : shipped_families) {
    if (one->name == shape.family) family = one;
  }
  REQUIRE(family != nullptr);
  const ShapeCounts counts = count_shape(*family, shape.config(), parameters);
  CHECK(counts.weights == block_weight_count(*family, shape.config()));
  return counts;
}

std::string digits(double x, int places) { return fmt::format("{:.{}f}", x, places); }

}  // namespace

TEST_CASE("accounting: Table 8 of the paper to the printed digits") {
  const ShapeCounts c = counts_of("LLaMA2-7B", 6738415616);
  CHECK(c.weights == 6476005376);
  CHECK(c.embedding == 131072000);
  CHECK(c.head == 131072000);
  struct Row {
    std::string_view method, memory, cycles;
  };
  constexpr std::array table{Row{"FP16", "13.48", "1.72"},    Row{"INT4", "3.76", "0.48"},
                             Row{"BitNet", "1.80", "0.23"},   Row{"BiLLM", "1.40", "0.18"},
                             Row{"OneBit", "1.34", "0.17"},   Row{"FBI-LLM", "1.34", "0.17"},
                             Row{"BinaryLLM", "1.34", "0.17"}};
  REQUIRE(table.size() == nominal_bits.size());
  for (std::size_t i = 0; i < table.size(); ++i) {
    CAPTURE(table[i].method);
    CHECK(nominal_bits[i].method == table[i].method);
    CHECK(digits(nominal_bytes(c, nominal_bits[i].bits) / 1e9, 2) == table[i].memory);
    CHECK(digits(nominal_cycles(c, nominal_bits[i].bits) / 1e12, 2) == table[i].cycles);
  }
  CHECK(digits(nominal_cycles(c, 16) / 1e12, 5) == "1.72497");
  CHECK(digits(nominal_cycles(c, 1.01) / 1e12, 4) == "0.1718");
}

TEST_CASE("accounting: bits of a weight by where its scales are") {
  struct Row {
    std::string_view name;
    std::array<std::string_view, 6> bits;  // in the order of scale_layouts
  };
  constexpr std::array table{
      Row{"SmolLM-135M", {"1.0000", "1.0234", "1.0226", "1.0460", "1.0451", "1.0469"}},
      Row{"FBI-LLM-130M", {"1.0000", "1.0179", "1.0150", "1.0330", "1.0301", "1.0359"}},
      Row{"Pythia-70M", {"1.0000", "1.0234", "1.0182", "1.0417", "1.0365", "1.0469"}},
      Row{"Llama-3.2-1B", {"1.0000", "1.0062", "1.0054", "1.0116", "1.0108", "1.0124"}},
      Row{"FBI-LLM-1.3B", {"1.0000", "1.0067", "1.0056", "1.0123", "1.0112", "1.0134"}},
      Row{"Llama-3.2-3B", {"1.0000", "1.0044", "1.0042", "1.0086", "1.0085", "1.0088"}},
      Row{"llama2-7b", {"1.0000", "1.0034", "1.0028", "1.0062", "1.0056", "1.0067"}},
  };
  for (const Row& row : table) {
    CAPTURE(row.name);
    const ShapeCounts counts = counts_of(row.name);
    for (std::size_t i = 0; i < row.bits.size(); ++i) {
      CAPTURE(scale_layouts[i].name);
      CHECK(digits(bits_per_weight(counts, scale_layouts[i]), 4) == row.bits[i]);
    }
  }
}

TEST_CASE("accounting: OneBit's way of counting, of a matrix 4096 x 4096") {
  const ShapeCounts square{.weights = 4096 * 4096, .rows = 4096, .columns = 4096};
  const ScaleLayout& both = scale_layouts[3];
  CHECK(digits(bits_per_parameter(square, both), 4) == "1.0073");
  CHECK(digits(bits_per_weight(square, both), 4) == "1.0078");
}

TEST_CASE("accounting: parts of a family with query, key and value in one, and with a tied head") {
  CHECK(block_matrices(*shipped_families[2], published_shape("Pythia-70M").config()).size() == 4);
  CHECK(block_matrices(*shipped_families[3], published_shape("OPT-125M").config()).size() == 6);
  CHECK(counts_of("SmolLM-135M").head == 0);
  CHECK(counts_of("SmolLM-135M").vocabulary_products() == 2 * 49152 * 576);
  CHECK(id_of([] { static_cast<void>(published_shape("GPT-5")); }) == ErrorId::unknown_name);
}
