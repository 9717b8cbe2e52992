// SPDX-License-Identifier: MIT
/// The shipped methods by name, as values: what a program lists and chooses from.
#pragma once
#include <binllm/methods/formats.hpp>
#include <binllm/methods/shipped.hpp>

#include <vector>

namespace binllm {

struct MethodEntry {
  std::string_view name, summary, source;
  MethodFacts facts;
  MethodSettings published;
  std::string_view format;  ///< of the models that it trains
  FormatWords words;        ///< of config.json, as published
};

template <Method M>
[[nodiscard]] MethodEntry entry_of() {
  using Format = Quantised<typename M::template kind<float>>;
  FormatWords words;
  put_words(Format{}, [&](std::string_view key, std::string_view value) { words[std::string(key)] = value; });
  return {M::name, M::summary, M::source, M::facts, M::published, Format::name, std::move(words)};
}

/// In the order of the list.
[[nodiscard]] inline std::vector<MethodEntry> method_table() {
  std::vector<MethodEntry> table;
  for_each_type<ShippedMethods>([&]<class M>() { table.push_back(entry_of<M>()); });
  return table;
}
/// Errors: unknown_name with the known ones.
[[nodiscard]] inline MethodEntry method_named(std::string_view name) {
  MethodEntry entry;
  with_named<ShippedMethods>("method_named", "method", name, [&]<class M>() { entry = entry_of<M>(); });
  return entry;
}

/// Of a Markdown table that also reads well on a terminal: its head and a row of it.
inline constexpr std::string_view method_columns =
    "| method | W_b | scale | estimator | learnable beside W | activations | teacher | bits |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |";
/// `name` stands in the first column; a page puts a link there.
[[nodiscard]] inline std::string method_row(const MethodEntry& method, std::string_view name) {
  const MethodFacts& f = method.facts;
  std::string cells;
  for (const std::string_view cell :
       {name, f.weight, f.granularity, f.estimator, f.learnable, f.activations, f.teacher, f.bits}) {
    cells += "| ";
    for (const char c : cell) cells += c == '|' ? std::string("\\|") : std::string(1, c);  // no bar of its own
    cells += ' ';
  }
  return cells + '|';
}
[[nodiscard]] inline std::string method_row(const MethodEntry& method) { return method_row(method, method.name); }

}  // namespace binllm
