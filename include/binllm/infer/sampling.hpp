// SPDX-License-Identifier: MIT
/// The next token from logits: greedy, or a draw after a repetition penalty, temperature, top-k and top-p.
#pragma once
#include <binllm/core/check.hpp>
#include <binllm/core/random.hpp>
#include <binllm/core/view.hpp>
#include <binllm/infer/sampling_options.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace binllm {

/// Chooses tokens. A choice is a pure function of (options, logits, history, position, sequence): the object keeps
/// nothing but working memory from one to the next. In the order of Hugging Face's transformers:
///
///  1. repetition penalty r (CTRL, Keskar et al., arXiv 1909.05858, in the form that holds for logits of either sign):
///     for each token of the history, once, l / r where l > 0, else l r;
///  2. p = softmax(l / temperature);
///  3. top-k: the k most likely tokens, of equals those with lower ids, exactly k;
///  4. top-p, the nucleus (Holtzman et al., arXiv 1904.09751): of what is left, renormalised, the fewest most likely
///     tokens whose mass is at least top_p, one at least;
///  5. a draw from what is left, renormalised.
///
/// At temperature 0 the largest logit after step 1, the first of equals. A logit of -infinity is never chosen.
/// Cost: a few passes over the V logits, and a sort of the tokens that are left.
class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options = {}) : options_((options.check(), options)) {}

  /// The token that follows `history` given the logits (V). The draw is number `position` of stream (seed, sequence).
  /// Errors: empty_tensor, token_out_of_range (history), value_not_finite: NaN, +infinity, or -infinity alone.
  template <class T>
  [[nodiscard]] std::int32_t operator()(View<const T> logits, std::span<const std::int32_t> history, Index position,
                                        Index sequence = 0) {
    check_not_empty("sample", "logits", logits.shape);
    const bool penalised = options_.repetition_penalty != 1 && !history.empty();
    if (options_.temperature == 0 && !penalised) return static_cast<std::int32_t>(largest(logits));
    scores_ = logits.flat().template cast<double>();
    if (penalised) penalise(logits, history);
    const Index best = largest(View<const double>(scores_.data(), {scores_.size()}));
    if (options_.temperature == 0) return static_cast<std::int32_t>(best);
    const Random random(options_.seed, Purpose::sample, static_cast<std::uint64_t>(sequence));
    return draw(best, random.uniform(static_cast<std::uint64_t>(position)));
  }
  [[nodiscard]] const SamplingOptions& options() const noexcept { return options_; }

 private:
  struct Candidate {
    double weight;
    std::int32_t id;
  };
  static bool likelier(const Candidate& a, const Candidate& b) {
    return a.weight > b.weight || (a.weight == b.weight && a.id < b.id);
  }

  /// The first of the largest.
  template <class T>
  [[nodiscard]] static Index largest(View<const T> logits) {
    const T most = logits.flat().template maxCoeff<Eigen::PropagateNaN>();
    if (!std::isfinite(static_cast<double>(most)))
      throw Error(ErrorId::value_not_finite, "sample", "logits", "numbers whose largest is finite",
                  fmt::format("{}", static_cast<double>(most)));
    return std::find(logits.data, logits.data + logits.size(), most) - logits.data;
  }
  /// Reads the logits and writes the scores, so that a token which was seen twice is penalised once.
  template <class T>
  void penalise(View<const T> logits, std::span<const std::int32_t> history) {
    const auto window = static_cast<std::size_t>(options_.repetition_window);
    if (window > 0 && history.size() > window) history = history.last(window);
    const Index seen = static_cast<Index>(history.size());
    check_token_ids("sample", View<const std::int32_t>(history.data(), {seen}), logits.size());
    for (const std::int32_t id : history) {
      const auto logit = static_cast<double>(logits.data[id]);
      scores_[id] = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
    }
  }
  [[nodiscard]] std::int32_t draw(Index best, double uniform);
  [[nodiscard]] double weigh(double score, double most) const {
    return std::exp((score - most) / options_.temperature);
  }
  void keep_top_k(double most);
  void keep_possible_nucleus(double mass);
  void keep_nucleus(double mass);
  [[nodiscard]] double mass_of_candidates() const;

  SamplingOptions options_;
  Eigen::ArrayXd scores_;  ///< (V) logits, then exp((logit - largest) / temperature)
  std::vector<Candidate> candidates_;
};

/// The index of the largest logit, the first of equals; or a draw from softmax(logits / temperature).
/// A pure function of (logits, temperature, seed, position).
template <class T>
[[nodiscard]] std::int32_t sample_token(View<const T> logits, double temperature, std::uint64_t seed, Index position) {
  return Sampler({.temperature = temperature, .seed = seed})(logits, {}, position);
}

/// Walks the distribution in the order of ids, so that a limit which removes nothing changes no draw.
inline std::int32_t Sampler::draw(Index best, double uniform) {
  const double most = scores_[best];
  const bool choose_k = options_.top_k > 0 && options_.top_k < scores_.size(), choose_p = options_.top_p < 1;
  double mass = 0;
  if (choose_k) {
    keep_top_k(most);
    mass = mass_of_candidates();
  } else {
    scores_ = ((scores_ - most) / options_.temperature).exp();
    mass = scores_.sum();
    if (choose_p) keep_possible_nucleus(mass);
  }
  if (choose_p) keep_nucleus(options_.top_p * mass);
  if (choose_k || choose_p) {
    std::sort(candidates_.begin(), candidates_.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    double left = uniform * mass_of_candidates();
    for (const auto& [weight, id] : candidates_)
      if ((left -= weight) < 0) return id;
  } else {
    double left = uniform * mass;
    for (Index id = 0; id < scores_.size(); ++id)
      if ((left -= scores_[id]) < 0) return static_cast<std::int32_t>(id);
  }
  return static_cast<std::int32_t>(best);  // what rounding left over
}

inline double Sampler::mass_of_candidates() const {
  double mass = 0;
  for (const Candidate& candidate : candidates_) mass += candidate.weight;
  return mass;
}

/// One pass that keeps at most 2k tokens: once there are so many, the k best of them raise the bar for the rest.
inline void Sampler::keep_top_k(double most) {
  candidates_.clear();
  const auto k = static_cast<std::size_t>(options_.top_k);
  const auto cut = [&] {
    std::nth_element(candidates_.begin(), candidates_.begin() + (options_.top_k - 1), candidates_.end(), likelier);
    candidates_.resize(k);
  };
  double bar = -std::numeric_limits<double>::infinity();
  for (Index id = 0; id < scores_.size(); ++id) {
    if (!(scores_[id] > bar)) continue;  // an equal one with a higher id comes too late
    candidates_.push_back({scores_[id], static_cast<std::int32_t>(id)});
    if (candidates_.size() < 2 * k) continue;
    cut();
    bar = candidates_.back().weight;
  }
  if (candidates_.size() > k) cut();
  for (Candidate& candidate : candidates_) candidate.weight = weigh(candidate.weight, most);
}

/// Tokens below (1 - top_p) mass / V have less than (1 - top_p) mass together, so the nucleus is among the others.
/// Half of that bound leaves room for rounding.
inline void Sampler::keep_possible_nucleus(double mass) {
  candidates_.clear();
  const double bound = 0.5 * (1 - options_.top_p) * mass / static_cast<double>(scores_.size());
  for (Index id = 0; id < scores_.size(); ++id)
    if (scores_[id] >= bound) candidates_.push_back({scores_[id], static_cast<std::int32_t>(id)});
}

/// Selection by mass: the half in which the nucleus ends is halved again, so nothing is sorted.
inline void Sampler::keep_nucleus(double mass) {
  auto first = candidates_.begin(), last = candidates_.end();
  for (double before = 0; last - first > 1;) {
    const auto middle = first + (last - first) / 2;
    std::nth_element(first, middle, last, likelier);
    double reached = before;
    for (auto i = first; i != middle; ++i) reached += i->weight;
    if (reached >= mass) {
      last = middle;
    } else {
      first = middle;
      before = reached;
    }
  }
  candidates_.erase(last, candidates_.end());
}

}  // namespace binllm
