// SPDX-License-Identifier: MIT
#include "support/errors.hpp"

#include <binllm/core/type_list.hpp>

using namespace binllm;

namespace {

struct One {
  static constexpr std::string_view name = "one", summary = "the first";
};
struct Many {
  static constexpr std::string_view name = "many", parameter = ":N", summary = "N of them";
};
struct Nameless {};
using Both = TypeList<One, Many>;

}  // namespace

TEST_CASE("a list of types: how many, which one, whether") {
  static_assert(Both::size == 2 && TypeList<>::size == 0);
  static_assert(std::is_same_v<TypeAt<0, Both>, One> && std::is_same_v<TypeAt<1, Both>, Many>);
  static_assert(list_has<Many, Both> && !list_has<Nameless, Both>);
  static_assert(NamedType<One> && !NamedType<Nameless>);
  static_assert(table_of<Both>([]<class T>() { return T::name.size(); }) == std::array<std::size_t, 2>{3, 4});
  CHECK(any_type<Both>([]<class T>() { return T::name == "many"; }));
  CHECK_FALSE(any_type<Both>([]<class T>() { return T::name == "none"; }));
}

TEST_CASE("names as a help text says them") {
  CHECK(names_of<Both>() == "one or many:N");
  CHECK(names_of<TypeList<One, Many, One>>(" and ") == "one, many:N and one");
  CHECK(names_of<TypeList<One>>() == "one");
  CHECK(summaries_of<Both>() == "  one     the first\n  many:N  N of them\n");
}

TEST_CASE("the type of a name, or the names that there are") {
  std::string_view found;
  with_named<Both>("test", "count", "many", [&]<class T>() { found = T::summary; });
  CHECK(found == "N of them");
  try {
    with_named<Both>("test", "count", "none", []<class T>() {});
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::unknown_name);
    CHECK(error.operation() == "test");
    CHECK(error.argument() == "count");
    CHECK(error.wanted() == "one of one, many");
    CHECK(error.found() == "none");
  }
}
