// SPDX-License-Identifier: MIT
#include "support/errors.hpp"

#include <binllm/core/check.hpp>

#include <array>
#include <cstdint>
#include <string>

using binllm::ErrorId;
using binllm::Shape;
using binllm::View;
using binllm::test::id_of;

TEST_CASE("what fits passes") {
  binllm::check_shape("op", "x", Shape{2, 3}, Shape{2, 3});
  binllm::check_cols("op", "x", Shape{2, 3}, 3);
  binllm::check_rank("op", "x", Shape{2, 3}, 2);
  binllm::check_not_empty("op", "x", Shape{1});
  const std::array<std::int32_t, 3> ids{0, 4, 2};
  binllm::check_token_ids("op", {ids.data(), {3}}, 5);
}

TEST_CASE("what does not fit is refused by id") {
  CHECK(id_of([] { binllm::check_shape("op", "x", Shape{2, 3}, Shape{3, 2}); }) == ErrorId::shape_mismatch);
  CHECK(id_of([] { binllm::check_cols("op", "x", Shape{2, 3}, 2); }) == ErrorId::shape_mismatch);
  CHECK(id_of([] { binllm::check_rank("op", "x", Shape{2, 3}, 3); }) == ErrorId::rank_unsupported);
  CHECK(id_of([] { binllm::check_not_empty("op", "x", Shape{2, 0}); }) == ErrorId::empty_tensor);
  const std::array<std::int32_t, 3> ids{0, 5, -1};
  const View<const std::int32_t> view(ids.data(), {3});
  CHECK(id_of([&] { binllm::check_token_ids("op", view, 5); }) == ErrorId::token_out_of_range);
  CHECK(id_of([&] { binllm::check_token_ids("op", {ids.data() + 2, {1}}, 5); }) == ErrorId::token_out_of_range);
}

TEST_CASE("ids that the host cannot read are taken on trust") {
  struct Elsewhere {};
  const std::array<std::int32_t, 2> ids{9, -1};
  CHECK_NOTHROW(binllm::check_token_ids("op", View<const std::int32_t, Elsewhere>(ids.data(), {2}), 5));
}

TEST_CASE("messages name the operation, the argument and both sides") {
  const auto message = [](auto check) -> std::string {
    try {
      check();
    } catch (const binllm::Error& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message([] {
          binllm::check_cols("linear", "x", Shape{2, 3}, 4);
        }) == "E101: linear: x: wanted last dimension 4, found (2, 3)");
  const std::array<std::int32_t, 2> ids{1, 9};
  CHECK(message([&] {
          binllm::check_token_ids("embedding", {ids.data(), {2}}, 9);
        }) == "E402: embedding: ids[1]: wanted 0 <= id < 9, found 9");
}
