// SPDX-License-Identifier: MIT
// The roofline of the packed product on one thread of this machine, 4096 x 4096: how many products a second against
// products for each packed byte (8 a token), below what memory, look-ups and multiplications allow. Draws an SVG file.
#include <fstream>

#include "support/arguments.hpp"
#include "support/packed_product.hpp"
#include "support/svg.hpp"

namespace bl = binllm;

namespace {

struct Series {
  std::string name, colour;
  bl::InstructionSet set;
  bl::bench::Resident resident;
  std::vector<bl::Index> tokens;
};

double products_per_second(const Series& series, bl::Index tokens) {
  bl::set_instruction_set(series.set);
  bl::bench::PackedProduct<bl::Int8Activations> product(4096, 4096, tokens, series.resident);
  const double once = bl::bench::median_seconds([&] { product.multiply(); }, 3, 1);
  const int calls = std::max(1, static_cast<int>(10e-3 / once));
  const double seconds = bl::bench::median_seconds([&] { product.multiply(); }, 9, calls);
  return product.weights() * static_cast<double>(tokens) / seconds;
}

double read_bytes_per_second(bl::bench::Resident resident) {
  bl::bench::PackedProduct<bl::Int8Activations> product(4096, 4096, 1, resident);
  const double seconds = bl::bench::median_seconds([&] { product.read_signs(); }, 9, 50);
  return static_cast<double>(product.packed_bytes()) / seconds;
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words, "bench_packed_roofline [--out FILE.svg]");
  const std::string out = arguments.text("--out", "packed-roofline.svg");
  arguments.end();
  using bl::InstructionSet;
  using bl::bench::Resident;
  const std::vector<bl::Index> few{1, 2, 4, 8, 32}, all{1, 2, 4, 8, 16, 32, 128};
  const std::vector<Series> every{{"AMX", "#c0392b", InstructionSet::amx, Resident::cache, all},
                                  {"AVX-512", "#2471a3", InstructionSet::avx512, Resident::cache, all},
                                  {"AVX2", "#1e8449", InstructionSet::avx2, Resident::cache, all},
                                  {"plain C++", "#7d6608", InstructionSet::plain, Resident::cache, few},
                                  {"from memory", "#000000", bl::best_instruction_set(), Resident::dram, {1, 2, 4, 8}}};
  constexpr double left = 5, right = 3000, bottom = 2e9, top = 5e12;
  bl::bench::LogPicture picture(left, right, bottom, top);
  for (const int tokens : {1, 2, 4, 8, 16, 32, 64, 128}) picture.grid_x(8.0 * tokens, fmt::format("{}", 8 * tokens));
  for (const double rate : {1e10, 1e11, 1e12}) picture.grid_y(rate, fmt::format("{:.0f} G", rate * 1e-9));
  picture.titles("products for a packed byte (8 a token)", "products a second");

  for (const Resident resident : {Resident::cache, Resident::dram}) {
    const double bytes = read_bytes_per_second(resident);
    const char* const where = resident == Resident::cache ? "cache" : "memory";
    fmt::print("read from {:<12} {:7.1f} GB/s\n", where, bytes * 1e-9);
    const double first = std::max(left, bottom / bytes), last = std::min(right, top / bytes);
    picture.line(first, bytes * first, last, bytes * last, "#888", 2);
    const double at = resident == Resident::cache ? 50 : 110;
    picture.note(at, bytes * at, "end", "#666", fmt::format("{} {:.0f} GB/s", where, bytes * 1e-9));
  }
  if (const double rate = bl::bench::int8_rate(); rate > 0) {
    fmt::print("vpdpbusd           {:7.1f} G products/s\n", rate * 1e-9);
    picture.line(left, rate, right, rate, "#888", 2);
    picture.note(right * 0.97, rate, "end", "#666", fmt::format("vpdpbusd {:.0f} G/s", rate * 1e-9));
  }
  for (const Series& series : every) {
    if (!bl::is_supported(series.set)) continue;
    double last = 0, before = 0, rate = 0;
    for (const bl::Index tokens : series.tokens) {
      last = products_per_second(series, tokens);
      fmt::print("{:<12} {:4} tokens {:7.1f} G products/s\n", series.name, tokens, last * 1e-9);
      const double across = 8.0 * static_cast<double>(tokens);
      if (before > 0) picture.line(before, rate, across, last, series.colour, 1);
      picture.point(across, last, series.colour);
      before = across, rate = last;
    }
    picture.note(8.0 * static_cast<double>(series.tokens.back()) * 1.1, last, "start", series.colour, series.name);
  }
  std::ofstream file(out);
  file << picture.finish();
  if (!file.flush()) {
    fmt::print(stderr, "bench_packed_roofline: cannot write {}\n", out);
    return 1;
  }
  fmt::print("drawn: {}\n", out);
}
