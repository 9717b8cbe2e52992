// SPDX-License-Identifier: MIT
/// Continues several sequences at once: those that end make room for those that wait.
#pragma once
#include <binllm/infer/decoder.hpp>
#include <binllm/infer/generation.hpp>
#include <binllm/infer/look_up.hpp>
#include <binllm/infer/sampling.hpp>

#include <algorithm>
#include <chrono>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace binllm::detail {

/// One call of generate_batch: prompts that wait, sequences that run in slots of the decoder, results.
template <LanguageModel Model>
class BatchRun {
 public:
  BatchRun(Decoder<Model>& decoder, const GenerateOptions& options, TokenReceiver& receiver)
      : BatchRun(decoder, options, receiver, 0, decoder.sequences()) {}
  /// In the decoder's first `slots` sequences, of which the first one has read `read` tokens of the first prompt.
  BatchRun(Decoder<Model>& decoder, const GenerateOptions& options, TokenReceiver& receiver, Index read, Index slots)
      : decoder_(decoder), options_(options), receiver_(receiver), read_(read), sampler_(options.sampling()) {
    for (Index slot = slots; slot-- > 0;) free_slots_.push_back(slot);
  }

  [[nodiscard]] GeneratedTokens operator()(const std::vector<std::vector<std::int32_t>>& prompts) {
    for (const auto& prompt : prompts) made_.sequences.push_back({prompt});
    for (Index waiting = 0; waiting < std::ssize(prompts) || !running_.empty(); step()) {
      while (waiting < std::ssize(prompts) && !free_slots_.empty()) begin(waiting++);
    }
    return std::move(made_);
  }

 private:
  struct Running {
    Index slot, prompt, prompt_tokens;
  };
  using Logit = typename Model::Master;
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] static double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }
  [[nodiscard]] GeneratedSequence& sequence(Index prompt) { return made_.sequences[static_cast<std::size_t>(prompt)]; }

  void begin(Index prompt) {
    const std::span<const std::int32_t> text(sequence(prompt).tokens);
    const SharedBeginning known = decoder_.longest_beginning(text);
    const Running entered{take_slot(known), prompt, std::ssize(text)};
    if (!receiver_.on_begin(prompt)) return static_cast<void>(end(entered, FinishReason::stopped));
    if (options_.max_tokens == 0) return static_cast<void>(end(entered, FinishReason::max_tokens));
    const auto start = Clock::now();
    if (known.tokens > read_) {
      decoder_.start_from(entered.slot, known);
      made_.statistics.shared_tokens += known.tokens - read_;
    } else {
      decoder_.keep(entered.slot, read_);
    }
    const auto fresh = text.subspan(static_cast<std::size_t>(decoder_.length(entered.slot)));
    const std::int32_t token = choose(prompt, decoder_.prefill(entered.slot, fresh));
    made_.statistics.prompt_tokens += std::ssize(fresh);
    made_.statistics.prefill_seconds += seconds_since(start);
    if (take(entered, token)) running_.push_back(entered);
  }
  /// A free slot: the one that has the beginning already, if it is free.
  [[nodiscard]] Index take_slot(const SharedBeginning& known) {
    auto slot = std::find(free_slots_.begin(), free_slots_.end(), known.sequence);
    if (known.tokens == 0 || slot == free_slots_.end()) slot = free_slots_.end() - 1;
    const Index taken = *slot;
    free_slots_.erase(slot);
    return taken;
  }
  /// One token for each running sequence; or for the only one as many as were proposed rightly, and one.
  void step() {
    if (running_.empty()) return;
    if (running_.size() == 1 && options_.speculate > 0 && speculate(running_.front())) return;
    const auto start = Clock::now();
    slots_.clear(), tokens_.clear();
    for (const Running& running : running_) {
      slots_.push_back(running.slot);
      tokens_.push_back(sequence(running.prompt).tokens.back());
    }
    const auto logits = decoder_.step(slots_, tokens_);
    for (std::size_t i = 0; i < running_.size(); ++i)
      tokens_[i] = choose(running_[i].prompt, logits.middle_rows(static_cast<Index>(i), 1));
    ++made_.statistics.steps;
    made_.statistics.step_tokens += std::ssize(running_);
    made_.statistics.decode_seconds += seconds_since(start);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < running_.size(); ++i)
      if (take(running_[i], tokens_[i])) running_[kept++] = running_[i];
    running_.resize(kept);
  }
  /// Reads what is proposed behind the last token in the same pass, and takes tokens as long as they are those. False:
  /// nothing was proposed.
  [[nodiscard]] bool speculate(const Running running) {
    const auto start = Clock::now();
    const auto& text = sequence(running.prompt).tokens;
    const Index read = std::ssize(text) - 1, wanted = options_.max_tokens - (std::ssize(text) - running.prompt_tokens);
    const Index room = std::min({options_.speculate, decoder_.capacity() - read - 1, wanted - 1});
    const auto proposed = look_up(text, room);
    if (proposed.empty()) return false;
    tokens_.assign(1, text.back());
    tokens_.insert(tokens_.end(), proposed.begin(), proposed.end());
    const auto logits = decoder_.prefill_each(running.slot, tokens_);
    struct Kept {  // of what was read, also where choosing a token or handing it on fails
      Decoder<Model>& decoder;
      Index slot, tokens;
      ~Kept() { decoder.keep(slot, tokens); }
    } kept{decoder_, running.slot, read + 1};
    auto& statistics = made_.statistics;
    ++statistics.steps;
    statistics.proposed_tokens += std::ssize(tokens_) - 1;
    statistics.decode_seconds += seconds_since(start);
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const auto choosing = Clock::now();
      const std::int32_t token = choose(running.prompt, logits.middle_rows(static_cast<Index>(i), 1));
      const bool right = i + 1 < tokens_.size() && token == tokens_[i + 1];
      ++statistics.step_tokens;
      statistics.accepted_tokens += right ? 1 : 0;
      statistics.decode_seconds += seconds_since(choosing);
      kept.tokens = read + 1 + static_cast<Index>(i);
      const bool goes_on = take(running, token);
      if (!goes_on) running_.clear();
      if (!goes_on || !right) break;
    }
    return true;
  }
  [[nodiscard]] std::int32_t choose(Index prompt, View<const Logit> logits) {
    const auto& history = sequence(prompt).tokens;
    const Index choosable = options_.choosable == 0 ? logits.size() : std::min(options_.choosable, logits.size());
    const Logit* data = logits.data;
    if (!options_.never.empty()) {
      allowed_.assign(data, data + choosable);
      for (const std::int32_t id : options_.never)
        if (id < choosable) allowed_[static_cast<std::size_t>(id)] = -std::numeric_limits<Logit>::infinity();
      data = allowed_.data();
    }
    return sampler_(View<const Logit>(data, {choosable}), history, std::ssize(history),
                    options_.first_sequence + prompt);
  }
  /// Adds a token to its sequence. False: the sequence has ended.
  bool take(const Running& running, std::int32_t token) {
    const auto& more = options_.end_tokens;
    if (decoder_.config().ends_text(token) || std::find(more.begin(), more.end(), token) != more.end())
      return end(running, FinishReason::end_token);
    auto& tokens = sequence(running.prompt).tokens;
    tokens.push_back(token);
    ++made_.statistics.generated_tokens;
    if (!receiver_.on_token(running.prompt, token)) return end(running, FinishReason::stopped);
    if (std::ssize(tokens) - running.prompt_tokens >= options_.max_tokens)
      return end(running, FinishReason::max_tokens);
    return std::ssize(tokens) <= decoder_.capacity() || end(running, FinishReason::last_position);
  }
  bool end(const Running& running, FinishReason reason) {
    sequence(running.prompt).finish = reason;
    free_slots_.push_back(running.slot);
    receiver_.on_end(running.prompt, reason);
    return false;
  }

  Decoder<Model>& decoder_;
  const GenerateOptions& options_;
  TokenReceiver& receiver_;
  Index read_;
  Sampler sampler_;
  GeneratedTokens made_;
  std::vector<Index> free_slots_, slots_;
  std::vector<Running> running_;
  std::vector<std::int32_t> tokens_;
  std::vector<Logit> allowed_;
};

}  // namespace binllm::detail
