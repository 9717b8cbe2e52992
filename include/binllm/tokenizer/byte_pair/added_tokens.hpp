// SPDX-License-Identifier: MIT
/// Finds added tokens in a text.
#pragma once
#include <binllm/tokenizer/byte_pair.hpp>
#include <binllm/tokenizer/byte_pair/pattern.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm::detail {

/// A set of added tokens: at each place the longest that begins there, from left to right.
class AddedTokens {
 public:
  /// Those of `tokens` that are looked for before normalisation, or after it; then `text_of` gives the normalised text.
  void add(const AddedToken& token, std::string_view text);

  /// Calls `on_text(part)` for each stretch without a token and `on_token(id)` for each token, in order.
  template <class OnText, class OnToken>
  void split(std::string_view text, MatchMemory& memory, OnText&& on_text, OnToken&& on_token) const {
    std::size_t done = 0;
    for (std::size_t from = 0; const auto found = find(text, from, done, memory);) {
      from = found->match_end;
      if (found->begin > done) on_text(text.substr(done, found->begin - done));
      on_token(found->id);
      done = found->end;
    }
    if (done < text.size()) on_text(text.substr(done));
  }

  /// Whether a token, left to right or not, touches the place before byte `at`: ends there, begins there or spans it.
  [[nodiscard]] bool touches(std::string_view text, std::size_t at) const;
  /// Bytes of the longest token.
  [[nodiscard]] std::size_t longest() const noexcept { return longest_; }

 private:
  struct Node {
    std::vector<std::pair<unsigned char, std::uint32_t>> next{};
    std::int32_t token = -1;  ///< in tokens_
  };
  struct Found {
    std::size_t begin, end;  ///< with the blanks that the token takes
    std::size_t match_end;   ///< where the search goes on
    std::int32_t id;
  };

  [[nodiscard]] std::optional<Found> find(std::string_view text, std::size_t from, std::size_t done,
                                          MatchMemory& memory) const;
  [[nodiscard]] std::uint32_t child(std::uint32_t node, unsigned char byte) const noexcept;
  [[nodiscard]] bool is_single_word(std::string_view text, std::size_t begin, std::size_t end,
                                    MatchMemory& memory) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_{1};
  std::vector<bool> begins_ = std::vector<bool>(256);  ///< bytes that a token begins with
  std::optional<Pattern> word_character_;              ///< once a token must be a single word
  std::size_t longest_ = 0;
};

}  // namespace binllm::detail
