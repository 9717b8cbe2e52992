// SPDX-License-Identifier: MIT
#include <binllm/policy/shipped.hpp>

#include <doctest/doctest.h>

#include <fstream>
#include <set>
#include <string>
#include <vector>

using namespace binllm;

namespace {

/// The rows of docs/policies.md that describe a policy of that name.
std::vector<std::string> rows_of(std::string_view name) {
  std::ifstream page(BINLLM_SOURCE_DIR "/docs/policies.md");
  REQUIRE(page);
  std::vector<std::string> rows;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("| `" + std::string(name) + "` |")) rows.push_back(line);
  }
  return rows;
}
/// A table's cell may not hold a bar of its own.
std::string in_a_cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

template <class List>
void stands_in_the_page() {
  std::set<std::string_view> names;
  for_each_type<List>([&]<NamedType P>() {
    CAPTURE(P::name);
    CHECK(names.insert(P::name).second);
    const auto rows = rows_of(spelling_of<P>());
    REQUIRE(rows.size() == 1);
    CHECK_MESSAGE(rows[0].find("| " + in_a_cell(P::summary) + " |") != std::string::npos, rows[0]);
  });
}

}  // namespace

TEST_CASE("every shipped policy has its row in docs/policies.md, with its name and summary") {
  stands_in_the_page<ShippedEstimators<float>>();
  stands_in_the_page<ShippedScales<float>>();
  stands_in_the_page<ShippedGranularities>();
  stands_in_the_page<ShippedChannelScales<float>>();
  stands_in_the_page<ShippedSchedules>();
}

TEST_CASE("the page says which scale and schedule an estimator brings along, and these are shipped") {
  for_each_type<ShippedEstimators<float>>([]<class E>() {
    static_assert(list_has<typename E::default_scale, ShippedScales<float>>);
    static_assert(list_has<typename E::default_schedule, ShippedSchedules>);
    const std::string partners =
        "| `" + std::string(E::default_scale::name) + "` | `" + std::string(E::default_schedule::name) + "` |";
    const auto rows = rows_of(E::name);
    REQUIRE(rows.size() == 1);
    CHECK_MESSAGE(rows[0].find(partners) != std::string::npos, rows[0]);
  });
}

TEST_CASE("help texts list what is shipped") {
  CHECK(names_of<ShippedEstimators<double>>() == "progressive, vanilla, ede, progressive-forward, linear-blend, softmax-rounding or progressive-then-sign");
  CHECK(names_of<ShippedGranularities>() == "row, column, tensor or group:SIZE");
}
