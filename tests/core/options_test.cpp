// SPDX-License-Identifier: MIT
#include "support/errors.hpp"

#include <binllm/core/options.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <string>

using namespace binllm;

namespace {

struct Inner {
  double share = 0.5;
  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("share", self.share, "a part", between(0, 1));
  }
};
struct Outer {
  int count = 1;
  double rate = 1, limit = std::numeric_limits<double>::infinity();
  bool flag = false;
  std::string word = "a";
  Inner inner{};
  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("count", self.count, "how many", at_least(1));
    v("rate", self.rate, "how fast", above(0));
    v("limit", self.limit, "no further", any);
    v("flag", self.flag, "or not", any);
    v("word", self.word, "a name", any);
    v("inner", self.inner, "more", any);
  }
};
static_assert(OptionSet<Outer> && OptionSet<Inner> && !OptionSet<double> && !OptionSet<std::string>);

std::string refused(const Outer& options) {
  try {
    check_options("test", options);
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::option_out_of_range);
    CHECK(error.operation() == "test");
    return error.argument() + ": " + error.wanted() + ", " + error.found();
  }
  return {};
}

}  // namespace

TEST_CASE("options: every member's range is checked, and named") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  CHECK(refused({}).empty());
  CHECK(refused({.count = 0}) == "count: at least 1, 0");
  CHECK(refused({.rate = 0}) == "rate: above 0, 0");
  CHECK(refused({.rate = 1e-300}).empty());
  CHECK(refused({.rate = nan}) == "rate: above 0, nan");
  CHECK(refused({.rate = infinity}) == "rate: above 0, inf");
  CHECK(refused({.limit = nan}) == "limit: a number, nan");
  CHECK(refused({.inner = {.share = 1.5}}) == "share: 0 to 1, 1.5");
  CHECK(refused({.inner = {.share = -0.1}}) == "share: 0 to 1, -0.1");
  CHECK(refused({.inner = {.share = 1}}).empty());
}

TEST_CASE("options: the list names members in order and gives them to be written") {
  Outer options;
  std::string names;
  Outer::visit(
      [&]<class Member>(std::string_view name, Member& member, std::string_view help, const OptionRange&) {
        names += std::string(name) + (help.empty() ? "!" : " ");
        if constexpr (std::is_same_v<Member, int>) member = 7;
      },
      options);
  CHECK(names == "count rate limit flag word inner ");
  CHECK(options.count == 7);
}
