// SPDX-License-Identifier: MIT
// One packed product beside its ceilings, all measured in turn: the same bytes read and nothing done, the rate of
// vpdpbusd, and Eigen's float product with the unpacked weights.
#include "support/arguments.hpp"
#include "support/packed_product.hpp"

namespace bl = binllm;

namespace {

struct Case {
  bl::Index rows, cols, batch;
  int threads, rounds;
  bl::bench::Resident resident;
  bool json;
};

struct Times {
  std::vector<double> product, read, eigen, rate;
};

/// Eigen on one thread, y^T (rows, tokens) = W x^T; a few rows of W at a time stand for all of them.
double eigen_seconds(const Case& c, bl::View<const float> x) {
  const bl::Index rows = std::min<bl::Index>(c.rows, 1024);
  static const Eigen::MatrixXf w = Eigen::MatrixXf::Constant(c.cols, rows, 0.5f);
  static Eigen::MatrixXf y(rows, c.batch);
  const Eigen::Map<const Eigen::MatrixXf> columns(x.data, c.cols, c.batch);
  const double start = bl::bench::now();
  y.noalias() = w.transpose() * columns;
  return (bl::bench::now() - start) * static_cast<double>(c.rows) / static_cast<double>(rows);
}

template <class Activations>
void run(const Case& c) {
  bl::bench::PackedProduct<Activations> product(c.rows, c.cols, c.batch, c.resident);
  const double once = bl::bench::median_seconds([&] { product.multiply(); }, 5, 1);
  const int calls = std::max(1, static_cast<int>(20e-3 / once));
  Times times;
  for (int round = 0; round < c.rounds; ++round) {
    times.product.push_back(bl::bench::median_seconds([&] { product.multiply(); }, 3, calls));
    times.read.push_back(bl::bench::median_seconds([&] { product.read_signs(); }, 3, calls));
    times.rate.push_back(bl::bench::int8_rate());
    if (round < 3) times.eigen.push_back(eigen_seconds(c, product.activations()));
  }
  const double seconds = bl::bench::median(times.product), read = bl::bench::median(times.read);
  const double rate = bl::bench::median(times.rate), eigen = bl::bench::median(times.eigen);
  const double weights = product.weights(), products = weights * static_cast<double>(c.batch);
  const auto bytes = static_cast<double>(product.packed_bytes());
  const char* const isa = bl::name_of(bl::instruction_set()).data();
  const char* const resident = c.resident == bl::bench::Resident::cache ? "cache" : "dram";
  if (c.json) {
    fmt::print(
        "{{\"rows\": {}, \"cols\": {}, \"batch\": {}, \"threads\": {}, \"mode\": \"{}\", \"resident\": \"{}\", "
        "\"isa\": \"{}\", \"microseconds\": {:.2f}, \"weights_per_second\": {:.4g}, \"packed_bytes_per_second\": "
        "{:.4g}, \"products_per_second\": {:.4g}, \"read_bytes_per_second\": {:.4g}, \"share_of_read\": {:.3f}, "
        "\"vpdpbusd_per_second\": {:.4g}, \"over_vpdpbusd\": {:.3f}, \"eigen_microseconds\": {:.1f}, \"over_eigen\": "
        "{:.2f}}}\n",
        c.rows, c.cols, c.batch, c.threads, Activations::name, resident, isa, seconds * 1e6, weights / seconds,
        bytes / seconds, products / seconds, bytes / read, read / seconds, rate,
        rate > 0 ? products / seconds / rate / c.threads : 0, eigen * 1e6, eigen / seconds);
    return;
  }
  fmt::print("{} x {}, {} tokens, {} threads, {} activations, {}, from {}\n", c.rows, c.cols, c.batch, c.threads,
             Activations::name, isa, resident);
  fmt::print("product   {:10.1f} us  {:7.1f} G weights/s  {:6.1f} GB/s packed  {:7.1f} G products/s\n", seconds * 1e6,
             weights / seconds * 1e-9, bytes / seconds * 1e-9, products / seconds * 1e-9);
  fmt::print("read loop {:10.1f} us  {:6.1f} GB/s: the product runs at {:.2f} of it\n", read * 1e6, bytes / read * 1e-9,
             read / seconds);
  if (rate > 0)
    fmt::print("vpdpbusd  {:7.1f} G products/s a thread: the product runs at {:.2f} times that\n", rate * 1e-9,
               products / seconds / rate / c.threads);
  fmt::print("Eigen     {:10.1f} us  float, one thread: the product is {:.1f} times as fast\n", eigen * 1e6,
             eigen / seconds);
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words,
                                 "bench_packed [--rows M] [--cols K] [--batch N] [--threads T] [--mode int8|float] "
                                 "[--resident cache|dram] [--isa NAME] [--rounds R] [--json]");
  Case c{arguments.number("--rows", 4096), arguments.number("--cols", 4096), arguments.number("--batch", 1),
         arguments.number("--threads", 1), arguments.number("--rounds", 7),  {},
         arguments.flag("--json")};
  const std::string mode = arguments.text("--mode", "int8"), resident = arguments.text("--resident", "cache");
  const std::string isa = arguments.text("--isa", "");
  arguments.end();
  if (mode != "int8" && mode != "float") arguments.refuse("--mode " + mode);
  if (resident != "cache" && resident != "dram") arguments.refuse("--resident " + resident);
  c.resident = resident == "cache" ? bl::bench::Resident::cache : bl::bench::Resident::dram;
  try {
    if (!isa.empty()) bl::set_instruction_set(bl::instruction_set_named(isa));
    bl::set_thread_count(c.threads);
    mode == "int8" ? run<bl::Int8Activations>(c) : run<bl::FloatActivations>(c);
  } catch (const bl::Error& error) {
    fmt::print(stderr, "bench_packed: {}\n", error.what());
    return 1;
  }
}
