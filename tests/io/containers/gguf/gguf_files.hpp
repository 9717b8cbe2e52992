// SPDX-License-Identifier: MIT
/// What the tests of GGUF share: files built field by field, right or wrong.
#pragma once
#include "../../support.hpp"

#include <binllm/io/containers/gguf/file.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace binllm::test {

/// Bytes of a GGUF file, in the order in which they are added.
class GgufBytes {
 public:
  /// The start: version 3 unless said otherwise.
  GgufBytes(std::uint64_t tensors, std::uint64_t values, std::uint32_t version = 3) {
    number(version).number(tensors).number(values);
  }
  template <class T>
  GgufBytes& number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  GgufBytes& text(std::string_view text) {
    number(std::uint64_t{text.size()});
    bytes_.append(text);
    return *this;
  }
  /// A value: its name and type; the rest follows.
  GgufBytes& value(std::string_view name, std::uint32_t type) { return text(name).number(type); }
  GgufBytes& tensor(std::string_view name, std::initializer_list<std::uint64_t> extents, std::uint32_t type,
                    std::uint64_t offset) {
    text(name).number(static_cast<std::uint32_t>(extents.size()));
    for (const std::uint64_t extent : extents) number(extent);
    return number(type).number(offset);
  }
  /// Zeros to the next multiple of 32, and the data.
  GgufBytes& data(std::size_t count) {
    bytes_.append((32 - bytes_.size() % 32) % 32, '\0');
    bytes_.append(count, '\1');
    return *this;
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_ = "GGUF";
};

}  // namespace binllm::test
