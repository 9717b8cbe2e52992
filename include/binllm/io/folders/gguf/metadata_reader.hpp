// SPDX-License-Identifier: MIT
/// Typed access to the metadata of a GGUF file; every error names file and value.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/core/shape.hpp>
#include <binllm/io/containers/gguf/file.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace binllm::detail {

/// Errors: `id` for a value that is missing or of another type.
class GgufMetadataReader {
 public:
  GgufMetadataReader(const GgufFile& file, std::string_view operation, ErrorId id)
      : file_(&file), operation_(operation), id_(id) {}

  [[nodiscard]] bool has(const std::string& name) const { return file_->metadata().contains(name); }

  /// A whole number of any width.
  [[nodiscard]] Index integer(const std::string& name) const {
    return std::visit(
        [&]<class T>(const T& value) -> Index {
          if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
            if (std::in_range<Index>(value)) return static_cast<Index>(value);
            refuse(name, "a number below 2^63", fmt::format("{}", value));
          } else {
            refuse(name, "a whole number", "another type");
          }
        },
        at(name));
  }
  [[nodiscard]] double number(const std::string& name) const {
    if (const auto* const value = std::get_if<float>(&at(name))) return static_cast<double>(*value);
    return get<double>(name, "a number");
  }
  [[nodiscard]] const std::string& text(const std::string& name) const { return get<std::string>(name, "a text"); }
  [[nodiscard]] bool truth(const std::string& name, bool otherwise) const {
    return has(name) ? get<bool>(name, "a truth value") : otherwise;
  }
  [[nodiscard]] std::optional<std::int32_t> token(const std::string& name) const {
    if (!has(name)) return std::nullopt;
    const Index token = integer(name);
    if (token < 0 || token > std::numeric_limits<std::int32_t>::max()) {
      refuse(name, "a token from 0 to 2^31 - 1", fmt::format("{}", token));
    }
    return static_cast<std::int32_t>(token);
  }
  template <class T>
  [[nodiscard]] const std::vector<T>& list(const std::string& name) const {
    if (const auto* const values = std::get_if<std::vector<T>>(&get<GgufArray>(name, "an array"))) return *values;
    refuse(name, "an array of the type that llama.cpp writes", "an array of another type");
  }
  [[noreturn]] void refuse(const std::string& name, std::string wanted, std::string found) const {
    refuse(name, std::move(wanted), std::move(found), id_);
  }
  [[noreturn]] void refuse(const std::string& name, std::string wanted, std::string found, ErrorId id) const {
    throw Error(id, operation_, fmt::format("{}: {}", file_->path().string(), name), std::move(wanted),
                std::move(found));
  }

 private:
  [[nodiscard]] const GgufValue& at(const std::string& name) const {
    const auto found = file_->metadata().find(name);
    if (found == file_->metadata().end()) refuse(name, "a value", "none");
    return found->second;
  }
  template <class T>
  [[nodiscard]] const T& get(const std::string& name, const char* wanted) const {
    if (const T* const value = std::get_if<T>(&at(name))) return *value;
    refuse(name, wanted, "another type");
  }

  const GgufFile* file_;
  std::string operation_;
  ErrorId id_;
};

}  // namespace binllm::detail
