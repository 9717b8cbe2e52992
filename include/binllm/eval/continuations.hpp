// SPDX-License-Identifier: MIT
/// How likely a model finds given continuations of a context: what multiple-choice tasks ask.
///   log p(y | x) = sum_i log softmax(z(x, y_1 ... y_{i-1}))[y_i]
/// Sequences of one group, as the choices of one question, begin alike. On a CPU what they share is read once, and each
/// goes on from its keys and values; a GPU reads it again sooner than it starts the many small kernels of that. Only the
/// rows of hidden states that predict a token of a continuation meet the vocabulary.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/models/causal_lm.hpp>
#include <binllm/ops/cross_entropy.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

namespace binllm {

/// Tokens, the last of which continue the others.
struct Continuation {
  std::vector<std::int32_t> tokens;
  Index scored = 0;  ///< of the last
};

struct ContinuationOptions {
  Index max_length = 0;   ///< tokens that a model reads at most; 0: 2048, or its positions where they are fewer
  Index pass_tokens = 0;  ///< computed at a time, about; 0: 512 on the CPU, 16384 on a GPU
  Index cached_tokens =
      0;  ///< whose keys and values are kept at a time, about, one group always is; 0: 16 passes. On a
          ///< GPU none are
  double sharpness = std::numeric_limits<double>::infinity();  ///< t of binary models; infinity is Sign
};

namespace detail {

/// What a model reads of a continuation, and what it is asked about it.
struct ReadSequence {
  std::span<const std::int32_t> inputs;   ///< all tokens but the last, at most max_length
  std::span<const std::int32_t> targets;  ///< the continuation
  double log_probability = 0;

  [[nodiscard]] Index length() const { return std::ssize(inputs); }
  /// The position whose logits are of the continuation's first token.
  [[nodiscard]] Index first_scored() const { return std::ssize(inputs) - std::ssize(targets); }
};

/// Sequences that share their first tokens.
struct ReadGroup {
  std::span<ReadSequence> sequences;
  Index shared = 0;   ///< inputs that all have in common
  Index longest = 0;  ///< inputs of one of them
};

/// Positions [first, last) of one sequence in one pass, and for whom they are read.
struct ReadRow {
  std::span<ReadSequence> sequences;
  Index first, last;
  Index parent;  ///< the slot that has read what comes before, where that is not the row's own
  [[nodiscard]] Index tokens() const { return last - first; }
};

/// One call of score_continuations.
template <LanguageModel Model>
class ContinuationRun {
 public:
  using T = typename Model::value_type;
  using Device = typename Model::device;
  using Master = typename Model::Master;

  ContinuationRun(const Model& model, const ContinuationOptions& options) : model_(model), options_(options) {
    // A pass that stays in the caches of a CPU is fastest there; on a GPU each kernel has to have enough to do.
    if (options_.pass_tokens == 0) options_.pass_tokens = host_accessible<Device> ? 512 : 16384;
    if (options_.cached_tokens == 0) options_.cached_tokens = 16 * options_.pass_tokens;
    scalars_.set(StepScalars<Device>::sharpness, options.sharpness);
  }

  /// Groups in order of what they share, so that the rows of a pass are of one length, nearly.
  void operator()(std::vector<ReadGroup>& groups) {
    std::sort(groups.begin(), groups.end(), [](const ReadGroup& a, const ReadGroup& b) {
      return std::pair(b.shared, a.sequences.data()) < std::pair(a.shared, b.sequences.data());
    });
    const Index room = std::max<Index>(1, options_.cached_tokens / 2);  // as much again for those that go on
    for (auto first = groups.begin(); first != groups.end();) {
      Index longest = first->longest;
      auto last = first + 1;
      for (; last != groups.end(); ++last) {
        longest = std::max(longest, last->longest);
        if ((last - first + 1) * longest > room) break;
      }
      read_groups({first, last});
      first = last;
    }
  }

 private:
  /// First what each group shares, in slots of their own, then what follows, each row in a copy of its group's slot.
  void read_groups(std::span<const ReadGroup> groups) {
    std::vector<ReadRow> beginnings, endings;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const auto& [sequences, shared, longest] = groups[g];
      const auto slot = static_cast<Index>(g);
      beginnings.push_back({sequences, 0, shared, slot});
      for (std::size_t s = 0; s < sequences.size(); ++s)
        if (sequences[s].length() > shared)
          endings.push_back({sequences.subspan(s, 1), shared, sequences[s].length(), slot});
    }
    std::sort(endings.begin(), endings.end(), [](const ReadRow& a, const ReadRow& b) {
      return std::tuple(b.tokens(), a.parent, a.sequences.data()) <
             std::tuple(a.tokens(), b.parent, b.sequences.data());
    });
    if (endings.empty()) {  // nobody goes on, so no keys and values are kept
      in_passes(beginnings, std::ssize(beginnings), [&](std::span<const ReadRow> rows) { read_rows(rows); });
      return;
    }
    const Index parents = std::ssize(groups), widest = endings.front().tokens(),
                capacity = std::min(beginnings.front().tokens() + widest, model_.config.max_position_embeddings),
                copies = std::min(std::ssize(endings), std::max<Index>(1, options_.cached_tokens / 2 / capacity));
    cache_.emplace(model_.cache(capacity, parents + copies));
    in_passes(beginnings, parents, [&](std::span<const ReadRow> rows) {
      slots_.clear();
      for (const ReadRow& row : rows) slots_.push_back(row.parent);
      read_rows(rows);
    });
    in_passes(endings, copies, [&](std::span<const ReadRow> rows) {
      slots_.clear();
      for (const ReadRow& row : rows) {
        slots_.push_back(parents + std::ssize(slots_));
        cache_->copy(row.parent, slots_.back());
      }
      read_rows(rows);
    });
    cache_.reset();
  }

  /// Calls read(rows) for as many rows as a pass takes at a time. A row is filled up to the longest, its first one;
  /// that must not reach beyond the cache. Rows without a token are passed by.
  template <class Read>
  void in_passes(std::span<const ReadRow> rows, Index most, const Read& read) const {
    while (!rows.empty() && rows.front().tokens() > 0) {
      const Index width = rows.front().tokens();
      std::size_t count = 1;
      while (count < rows.size() && static_cast<Index>(count) < most && rows[count].tokens() > 0 &&
             static_cast<Index>(count + 1) * width <= options_.pass_tokens &&
             (!cache_ || rows[count].first + width <= cache_->capacity()))
        ++count;
      read(rows.first(count));
      rows = rows.subspan(count);
    }
  }

  /// One pass. Where there is a cache row b goes on in slots_[b].
  void read_rows(std::span<const ReadRow> rows) {
    const Index count = std::ssize(rows), width = rows.front().tokens();
    Tensor<std::int32_t> ids(Shape{count, width});
    for (Index b = 0; b < count; ++b) {
      const ReadRow& row = rows[static_cast<std::size_t>(b)];
      const auto tokens = row.sequences.front().inputs.subspan(static_cast<std::size_t>(row.first));
      std::int32_t* const to = ids.view().data + b * width;
      std::fill(std::copy_n(tokens.begin(), row.tokens(), to), to + width, 0);
    }
    check_token_ids("score_continuations", read(ids.view()), model_.config.vocab_size);
    Tensor<std::int32_t, Device> device_ids(ids.shape());
    copy_to_device(read(ids.view()), device_ids.view());
    tape_.reset();
    const NoGrad<Device> pause(tape_);
    if (cache_) cache_->activate(slots_);
    Pass<T, Device> pass{tape_, scalars_, cache_ ? &*cache_ : nullptr};
    const auto hidden = model_.hidden(pass, read(device_ids.view()));
    for (std::size_t b = 0; cache_ && b < rows.size(); ++b)  // what a row was filled up with is forgotten
      cache_->keep(slots_[b], rows[b].last);
    score(pass, rows, hidden);
  }

  /// Adds the log-probabilities of the tokens that the pass has predicted.
  void score(Pass<T, Device>& pass, std::span<const ReadRow> rows, Variable<T, Device> hidden) {
    struct Piece {
      Index from, to, count;  ///< rows of the hidden states, rows of those that are wanted
    };
    const Index width = hidden.shape()[1], channels = hidden.shape()[2];
    std::vector<Piece> pieces;
    std::vector<std::int32_t> targets;
    std::vector<ReadSequence*> owners;
    for (std::size_t b = 0; b < rows.size(); ++b) {
      for (ReadSequence& sequence : rows[b].sequences) {
        const Index first = std::max(rows[b].first, sequence.first_scored()),
                    last = std::min(rows[b].last, sequence.length());
        if (first >= last) continue;
        pieces.push_back({static_cast<Index>(b) * width + first - rows[b].first, std::ssize(targets), last - first});
        const auto next = sequence.targets.begin() + (first - sequence.first_scored());
        targets.insert(targets.end(), next, next + (last - first));
        owners.insert(owners.end(), static_cast<std::size_t>(last - first), &sequence);
      }
    }
    if (targets.empty()) return;
    const Index count = std::ssize(targets);
    check_token_ids("score_continuations", View<const std::int32_t>(targets.data(), Shape{count}),
                    model_.config.vocab_size);
    Tensor<std::int32_t, Device> device_targets(Shape{count});
    copy_to_device(View<const std::int32_t>(targets.data(), Shape{count}), device_targets.view());
    const auto wanted = tape_.template compute<T>({count, channels}, [&](View<T, Device> out) {
      for (const auto& [from, to, of_piece] : pieces)
        Kernel<StridedCopy, Device>::forward(Elements<T>{hidden.value().data + from * channels, channels},
                                             Target<T>(out.data + to * channels, of_piece, channels, channels));
    });
    const auto losses = cross_entropy_of_rows(wanted, model_.head(pass), read(device_targets.view()));
    const OnHost<Master, Device> on_host(read(losses.value()));
    for (std::size_t i = 0; i < owners.size(); ++i)
      owners[i]->log_probability -= static_cast<double>(on_host.view().data[i]);
  }

  const Model& model_;
  ContinuationOptions options_;
  StepScalars<Device> scalars_;
  Tape<Device> tape_;
  std::optional<KeyValueCache<T, Device>> cache_;
  std::vector<Index> slots_;
};

/// What is read of a continuation: its last max_length + 1 tokens. Errors: as score_continuations.
[[nodiscard]] inline ReadSequence cut_to(Index max_length, const Continuation& whole) {
  const Index tokens = std::ssize(whole.tokens), kept = std::min(tokens, max_length + 1);
  if (whole.scored >= 1 && whole.scored < tokens && whole.scored < kept) {
    const std::span<const std::int32_t> last = std::span(whole.tokens).last(static_cast<std::size_t>(kept));
    return {last.first(last.size() - 1), last.last(static_cast<std::size_t>(whole.scored))};
  }
  throw Error(ErrorId::index_out_of_range, "score_continuations", "scored",
              fmt::format("1 to {} tokens behind a context", std::max<Index>(1, kept - 1)),
              fmt::format("{} of {}", whole.scored, tokens));
}

/// Where the inputs of the sequences begin alike.
[[nodiscard]] inline ReadGroup group_of(std::span<ReadSequence> sequences) {
  ReadGroup group{sequences, sequences.front().length(), 0};
  for (const ReadSequence& one : sequences) {
    const auto& first = sequences.front().inputs;
    const auto alike =
        std::mismatch(first.begin(), first.begin() + std::min(group.shared, one.length()), one.inputs.begin());
    group.shared = alike.first - first.begin();
    group.longest = std::max(group.longest, one.length());
  }
  return group;
}

}  // namespace detail

/// log p of each continuation given the tokens before it, natural, in the order of the groups. Too long sequences lose
/// their beginning. Groups are read in an order of their own, several at a time; what one gets depends on the others up
/// to rounding. No gradient, no logits of contexts. Memory: the keys and values of about cached_tokens tokens, the
/// activations of about pass_tokens, a chunk of logits.
/// Errors: option_out_of_range; index_out_of_range for a continuation without tokens, without a context, or longer than
/// max_length; token_out_of_range; value_not_finite.
template <LanguageModel Model>
[[nodiscard]] std::vector<std::vector<double>> score_continuations(const Model& model,
                                                                   const std::vector<std::vector<Continuation>>& groups,
                                                                   const ContinuationOptions& options = {}) {
  const Index positions = model.config.max_position_embeddings;
  const auto within = [](const char* name, Index found, Index least, Index most) {
    if (found >= least && found <= most) return;
    throw Error(ErrorId::option_out_of_range, "score_continuations", name, fmt::format("{} to {}", least, most),
                fmt::format("{}", found));
  };
  within("max_length", options.max_length, 0, positions);
  within("pass_tokens", options.pass_tokens, 0, Index{1} << 24);
  within("cached_tokens", options.cached_tokens, 0, Index{1} << 40);
  const Index max_length = options.max_length > 0 ? options.max_length : std::min<Index>(2048, positions);

  std::vector<std::vector<detail::ReadSequence>> sequences;
  for (const auto& group : groups) {
    auto& of_group = sequences.emplace_back();
    for (const Continuation& one : group) of_group.push_back(detail::cut_to(max_length, one));
  }
  std::vector<detail::ReadGroup> read;
  for (auto& group : sequences) {
    if constexpr (host_accessible<typename Model::device>) {
      if (!group.empty()) read.push_back(detail::group_of(group));
    } else {
      for (detail::ReadSequence& one : group) read.push_back(detail::group_of({&one, 1}));
    }
  }
  detail::ContinuationRun<Model>{model, options}(read);

  std::vector<std::vector<double>> scores;
  for (const auto& group : sequences) {
    auto& of_group = scores.emplace_back();
    for (const detail::ReadSequence& one : group) {
      if (!std::isfinite(one.log_probability))
        throw Error(ErrorId::value_not_finite, "score_continuations", "log-probability", "a finite number",
                    fmt::format("{}", one.log_probability));
      of_group.push_back(one.log_probability);
    }
  }
  return scores;
}

}  // namespace binllm
