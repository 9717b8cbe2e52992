// SPDX-License-Identifier: MIT
/// Which text stands for a data set: how its rows are joined, and how much of it is read. What is then done with the
/// tokens is the same everywhere (eval/perplexity.hpp). After FBI-LLM's and GPTQ's "new" evaluation.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/core/shape.hpp>
#include <binllm/eval/python_text.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

/// What a row of a file is.
enum class ProtocolRows {
  whole,      ///< the text as it is
  lines,      ///< each line with its line break; of blank ones nothing
  sentences,  ///< each line without blanks at its ends
  documents,  ///< those of a JSON Lines file (field "text"), or what stands between lines <|endoftext|>
};

struct Protocol {
  static constexpr Index all = std::numeric_limits<Index>::max();
  std::string_view name, summary;
  ProtocolRows rows;
  std::string_view separator{};
  Index context = 2048;     ///< tokens in a window
  Index most_rows = all;    ///< the first so many
  Index most_tokens = all;  ///< the first so many; BOS counts, where there is one

  /// Windows of `context` tokens that the protocol reads at most.
  [[nodiscard]] constexpr Index most_windows(Index of_context) const {
    return most_tokens == all ? all : std::max<Index>(1, most_tokens / of_context);
  }
};

inline constexpr std::array protocols{
    Protocol{"plain", "the text as it is", ProtocolRows::whole, {}, 256},
    Protocol{"wikitext2", "lines of wiki.test.raw with their line breaks, blank ones empty, joined by two line breaks",
             ProtocolRows::lines, "\n\n"},
    Protocol{"ptb", "sentences of ptb.test.txt joined by a blank", ProtocolRows::sentences, " "},
    Protocol{"c4", "the first 1100 documents joined by a blank, of which the first 524288 tokens",
             ProtocolRows::documents, " ", 2048, 1100, 256 * 2048},
};

/// Errors: unknown_name with those that there are.
[[nodiscard]] inline const Protocol& protocol_named(std::string_view name) {
  std::string names;
  for (const Protocol& protocol : protocols) {
    if (protocol.name == name) return protocol;
    names.append(names.empty() ? "" : ", ").append(protocol.name);
  }
  throw Error(ErrorId::unknown_name, "protocol_named", "protocol", "one of " + names, name.substr(0, 64));
}

/// The rows of a text file, the first `most` of them.
[[nodiscard]] inline std::vector<std::string> protocol_rows(ProtocolRows kind, std::string_view text,
                                                            Index most = Protocol::all) {
  if (kind == ProtocolRows::whole) return {std::string(text)};
  constexpr std::string_view end_of_document = "<|endoftext|>";
  std::vector<std::string> rows;
  std::string document;
  while (!text.empty() && std::ssize(rows) < most) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view line = text.substr(0, end), bare = python::stripped(line);
    text.remove_prefix(end);
    if (kind == ProtocolRows::lines) {
      rows.emplace_back(bare.empty() ? bare : line);
    } else if (kind == ProtocolRows::sentences) {
      rows.emplace_back(bare);
    } else if (bare != end_of_document) {
      document += line;
    } else {
      rows.push_back(std::string(python::stripped(document)));
      document.clear();
    }
  }
  if (!python::stripped(document).empty() && std::ssize(rows) < most) rows.emplace_back(python::stripped(document));
  return rows;
}

/// Rows with the protocol's separator between them.
[[nodiscard]] inline std::string joined(const Protocol& protocol, std::span<const std::string> rows) {
  std::string text;
  for (std::size_t i = 0; i < rows.size(); ++i) text.append(i > 0 ? protocol.separator : "").append(rows[i]);
  return text;
}

}  // namespace binllm
