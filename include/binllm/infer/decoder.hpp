// SPDX-License-Identifier: MIT
/// A model that reads tokens one after the other: several sequences, each with the keys and values of what it has seen.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/device/replay.hpp>
#include <binllm/infer/decoder_memory.hpp>
#include <binllm/infer/vocabulary_matrix.hpp>
#include <binllm/models/causal_lm.hpp>
#include <binllm/packed/kernels.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace binllm {

struct DecoderOptions {
  Index sequences = 1;
  Index capacity = 0;  ///< tokens of one sequence at most; 0: the model's positions
  double sharpness = std::numeric_limits<double>::infinity();  ///< t of binary models
  std::optional<VocabularyPrecision> vocabulary{};             ///< empty: what the format says, else float
  CachePrecision cache = CachePrecision::float32;              ///< of keys and values
};

/// The beginning of a text that a sequence of a decoder has read.
struct SharedBeginning {
  Index sequence = 0, tokens = 0;
};

/// The precision in which a decoder keeps the vocabulary of a model of this format, where its options do not say: what
/// the format says, where the device has that, else float.
template <class Matrix, class F>
[[nodiscard]] VocabularyPrecision default_vocabulary(const F& format) {
  const auto has = [](VocabularyPrecision wanted) {
    if constexpr (requires { Matrix::has(wanted); }) return Matrix::has(wanted);
    return true;
  };
  VocabularyPrecision said = VocabularyPrecision::float32;
  if constexpr (requires { format.chosen_vocabulary(); }) {
    said = format.chosen_vocabulary();
  } else if constexpr (requires { F::vocabulary; }) {
    said = F::vocabulary;
  }
  return has(said) ? said : VocabularyPrecision::float32;
}

/// After its first steps a decoder asks for no more memory, however long its sequences grow; on a GPU, as long as steps
/// are of the same number of sequences, for each new number is recorded anew. What a sequence gets does not depend on
/// the others that are read beside it: bit for bit on the host with Packed linear layers (activations of eight bits) and
/// a vocabulary in bf16 or int8; on a GPU, or where a product of floats is involved, up to rounding.
template <LanguageModel Model>
class Decoder {
 public:
  using T = typename Model::value_type;
  using Device = typename Model::device;
  using Logit = typename Model::Master;

  /// The model must outlive the decoder, with weights that stay as they are: what was read may serve again. Errors:
  /// option_out_of_range, config_inconsistent, out_of_memory.
  explicit Decoder(const Model& model, const DecoderOptions& options = {}) : Decoder(std::nullopt, &model, options) {}
  /// The decoder owns the model, and frees the model's float vocabulary where it has one in another precision.
  explicit Decoder(Model&& model, const DecoderOptions& options = {})
      : Decoder(std::optional<Model>(std::move(model)), nullptr, options) {
    if (precision() != VocabularyPrecision::float32) detail::release_vocabulary(*owned_);
  }
  [[nodiscard]] const ModelConfig& config() const noexcept { return model_.config; }
  [[nodiscard]] Index sequences() const noexcept { return cache_.sequences(); }
  [[nodiscard]] Index capacity() const noexcept { return cache_.capacity(); }
  /// In which embedding and head are kept.
  [[nodiscard]] VocabularyPrecision precision() const noexcept { return embedding_.precision(); }
  /// In which keys and values are kept.
  [[nodiscard]] CachePrecision cache_precision() const noexcept { return cache_precision_; }
  /// Tokens that a sequence has read. Errors: index_out_of_range.
  [[nodiscard]] Index length(Index sequence) const { return cache_.length(checked(sequence)); }
  /// Forgets what a sequence has read. Errors: index_out_of_range.
  void restart(Index sequence) { keep(sequence, 0); }
  /// The same but for its first `tokens`. Errors: index_out_of_range, also for more than it has read.
  void keep(Index sequence, Index tokens) {
    if (tokens < 0 || tokens > length(sequence))
      throw Error(ErrorId::index_out_of_range, "Decoder", "tokens",
                  fmt::format("at most the {} that were read", length(sequence)), fmt::format("{}", tokens));
    cache_.keep(sequence, tokens);
  }

  /// The longest beginning of a text that some sequence has read in one prefill, also where it was restarted since, as
  /// long as no other token was read in its place. A sequence that starts from it and reads the rest in one prefill gets
  /// what it gets from reading the whole text in one: bit for bit where what it gets does not depend on the others that
  /// are read beside it. That is why only whole tiles of attention count, and more than a few tokens are left to read.
  [[nodiscard]] SharedBeginning longest_beginning(std::span<const std::int32_t> text) const {
    SharedBeginning longest;
    constexpr Index tile = Attention::tile_queries;
    const Index most = std::max<Index>(0, std::ssize(text) - Attention::few_queries - 1);
    for (Index s = 0; s < sequences(); ++s) {
      const auto& read = prefilled_[static_cast<std::size_t>(s)];
      const Index limit = std::min<Index>(most, std::ssize(read));
      const Index alike = std::mismatch(read.begin(), read.begin() + limit, text.begin()).first - read.begin();
      if (alike / tile * tile > longest.tokens) longest = {s, alike / tile * tile};
    }
    return longest;
  }
  /// A sequence has read what `beginning` says and nothing else. Errors: index_out_of_range.
  void start_from(Index sequence, const SharedBeginning& beginning) {
    auto& own = prefilled_[static_cast<std::size_t>(checked(sequence))];
    const auto& from = prefilled_[static_cast<std::size_t>(checked(beginning.sequence))];
    if (beginning.tokens < 0 || beginning.tokens > std::ssize(from))
      throw Error(ErrorId::index_out_of_range, "Decoder", "beginning", fmt::format("at most {} tokens", from.size()),
                  fmt::format("{}", beginning.tokens));
    if (sequence == beginning.sequence) return cache_.keep(sequence, beginning.tokens);
    cache_.copy(beginning.sequence, sequence, beginning.tokens);
    own.assign(from.begin(), from.begin() + beginning.tokens);
  }

  /// Reads the tokens of one sequence in one pass; the logits (1, V) after its last token, valid until the next call.
  /// Errors, before anything is read: empty_tensor, index_out_of_range (no such sequence, or beyond the capacity),
  /// token_out_of_range.
  View<const Logit> prefill(Index sequence, std::span<const std::int32_t> tokens) {
    return read_tokens({&sequence, 1}, tokens, static_cast<Index>(tokens.size()), 1);
  }
  /// The same, with the logits (tokens, V) after each of them. Up to Attention::few_queries tokens get what they get one
  /// by one, as far as several sequences in one step get what each alone gets.
  View<const Logit> prefill_each(Index sequence, std::span<const std::int32_t> tokens) {
    const auto count = static_cast<Index>(tokens.size());
    return read_tokens({&sequence, 1}, tokens, count, count);
  }
  /// Reads one token for each of several different sequences, in one pass; the logits (sequences, V), valid until the
  /// next call. Errors as above, and shape_mismatch for more or fewer tokens than sequences.
  View<const Logit> step(std::span<const Index> sequences, std::span<const std::int32_t> tokens) {
    check_shape("Decoder", "tokens", Shape{static_cast<Index>(tokens.size())},
                Shape{static_cast<Index>(sequences.size())});
    return read_tokens(sequences, tokens, 1, 1);
  }

  /// Bytes that model and decoder hold at present.
  [[nodiscard]] DecoderMemory memory() const {
    DecoderMemory memory = detail::memory_of_model(model_);
    memory.vocabulary = embedding_.bytes() + head_.bytes();
    memory.key_value_cache = cache_.bytes();
    memory.working = tape_.value_bytes() + (recorded_ ? recorded_->tape.value_bytes() : 0) + detail::bytes_of(ids_) +
                     detail::bytes_of(logits_) + static_cast<std::size_t>(host_logits_.size()) * sizeof(Logit) +
                     StepScalars<Device>::capacity * sizeof(double);
    return memory;
  }

 private:
  [[nodiscard]] Index checked(Index sequence) const {
    if (sequence >= 0 && sequence < sequences()) return sequence;
    throw Error(ErrorId::index_out_of_range, "Decoder", "sequence", fmt::format("one below {}", sequences()),
                fmt::format("{}", sequence));
  }
  Decoder(std::optional<Model> owned, const Model* borrowed, const DecoderOptions& options)
      : owned_(std::move(owned)),
        model_(owned_ ? *owned_ : *borrowed),
        cache_precision_(options.cache),
        cache_(model_.cache(checked_capacity(model_.config, options), options.sequences, options.cache)),
        prefilled_(static_cast<std::size_t>(options.sequences)),
        embedding_(read(model_.embed_tokens.value),
                   options.vocabulary.value_or(default_vocabulary<VocabularyMatrix<T, Device>>(model_.format))),
        ids_(Shape{std::max(cache_.capacity(), cache_.sequences())}),
        logits_(Shape{cache_.sequences(), model_.config.vocab_size}) {
    if (!config().tie_word_embeddings) head_ = VocabularyMatrix<T, Device>(read(model_.lm_head.value), precision());
    if constexpr (!host_accessible<Device>) host_logits_ = Landing<Logit, Device>(logits_.shape());
    scalars_.set(StepScalars<Device>::sharpness, options.sharpness);
  }
  [[nodiscard]] static Index checked_capacity(const ModelConfig& config, const DecoderOptions& options) {
    const Index positions = config.max_position_embeddings;
    constexpr Index most_sequences = Index{1} << 20;
    const bool fits = options.sequences > 0 && options.sequences <= most_sequences && options.capacity >= 0 &&
                      options.capacity <= positions;
    if (fits) return options.capacity > 0 ? options.capacity : positions;
    throw Error(ErrorId::option_out_of_range, "Decoder", "sequences, capacity",
                fmt::format("1 to {} sequences, and up to {} tokens", most_sequences, positions),
                fmt::format("{}, {}", options.sequences, options.capacity));
  }

  /// As many tokens of each sequence, sequence by sequence; the logits after the last `wanted` of each. Of several
  /// sequences one token is read.
  View<const Logit> read_tokens(std::span<const Index> sequences, std::span<const std::int32_t> tokens, Index of_each,
                                Index wanted) {
    const auto rows = static_cast<Index>(sequences.size()), count = static_cast<Index>(tokens.size());
    const View<const std::int32_t> given(tokens.data(), Shape{rows, of_each});
    check_not_empty("Decoder", "tokens", Shape{count});
    check_token_ids("Decoder", given, config().vocab_size);
    cache_.activate(sequences);
    cache_.check_room(rows, of_each);
    for (const Index sequence : sequences) forget_prefilled(sequence);
    const View<std::int32_t, Device> ids(ids_.view().data, given.shape);
    copy_to_device(given, ids);
    make_room_for_logits(rows * wanted);
    if (recordable && of_each == 1 && rows <= most_recorded_rows) {
      replay_step(sequences, ids);
    } else {
      read_ids(tape_, ids, rows * wanted);
    }
    if (rows == 1) note_prefilled(sequences.front(), tokens);
    return logits_on_host(rows * wanted);
  }
  /// The logits after the last `wanted` of some tokens that have been copied to the device.
  void read_ids(Tape<Device>& tape, View<const std::int32_t, Device> ids, Index wanted) {
    tape.reset();
    const NoGrad<Device> pause(tape);
    Pass<T, Device> pass{tape, scalars_, &cache_};
    const auto entered =
        tape.template compute<T>({ids.shape[0], ids.shape[1], config().hidden_size},
                                 [&embedding = embedding_, ids](View<T, Device> out) { embedding.gather(ids, out); });
    const auto h = model_.transform(pass, entered);
    const VocabularyMatrix<T, Device>& head = config().tie_word_embeddings ? embedding_ : head_;
    const Temporary<std::byte, Device> memory(tape, Shape{head.workspace(wanted)});
    head.logits(read(h.value().middle_rows(ids.size() - wanted, wanted)), memory.view(),
                logits_.view().middle_rows(0, wanted));
  }

  /// A step of one token for each of `rows` sequences, as it is recorded: with memory of its own, which stays where it is.
  struct RecordedStep {
    Index rows;
    const Logit* logits;
    Tensor<Place, Device> places;
    Tape<Device> tape{};
    Replay<Device> replay{};
  };
  static constexpr bool recordable = records<Device> && requires {
    requires Model::architecture::template Positions<T, Device>::at_places;
  };
  static constexpr Index most_recorded_rows = 65535;  ///< the extent of a grid of blocks

  /// The same for one token of each sequence, on a device that records: what a step asks for does not change, but for
  /// tokens and lengths, which it reads from the device.
  void replay_step(std::span<const Index> sequences, View<const std::int32_t, Device> ids) {
    if constexpr (recordable) {
      const auto rows = static_cast<Index>(sequences.size());
      const Logit* const logits = logits_.view().data;
      if (!recorded_ || recorded_->rows != rows || recorded_->logits != logits)
        recorded_.reset(new RecordedStep{rows, logits, Tensor<Place, Device>(Shape{rows})});
      std::vector<Place> places;
      for (const Index s : sequences)
        places.push_back({static_cast<std::int32_t>(s), static_cast<std::int32_t>(cache_.length(s))});
      copy_to_device(View<const Place>(places.data(), Shape{rows}), recorded_->places.view());
      const struct Placed {
        KeyValueCache<T, Device>& cache;
        ~Placed() { cache.place_by(nullptr); }
      } placed{cache_};
      cache_.place_by(recorded_->places.view().data);
      recorded_->replay([&] { read_ids(recorded_->tape, ids, rows); });
      for (const Place& place : places) cache_.keep(place.sequence, place.length + 1);  // a replay does not count
    }
  }
  /// What stands behind the tokens that a sequence has read is about to go.
  void forget_prefilled(Index sequence) {
    auto& own = prefilled_[static_cast<std::size_t>(sequence)];
    own.resize(std::min(own.size(), static_cast<std::size_t>(cache_.length(sequence))));
  }
  /// A sequence has read tokens in one pass: in tiles that begin where those of its whole text do, if at all.
  void note_prefilled(Index sequence, std::span<const std::int32_t> tokens) {
    auto& own = prefilled_[static_cast<std::size_t>(sequence)];
    const bool in_tiles = std::ssize(tokens) > Attention::few_queries && own.size() % Attention::tile_queries == 0;
    if (in_tiles && std::ssize(own) + std::ssize(tokens) == cache_.length(sequence))
      own.insert(own.end(), tokens.begin(), tokens.end());
  }
  void make_room_for_logits(Index rows) {
    if (rows <= logits_.shape().rows()) return;
    logits_ = Tensor<Logit, Device>(Shape{rows, config().vocab_size});
    if constexpr (!host_accessible<Device>) host_logits_ = Landing<Logit, Device>(logits_.shape());
  }
  View<const Logit> logits_on_host(Index rows) {
    const View<Logit, Device> made = logits_.view().middle_rows(0, rows);
    if constexpr (host_accessible<Device>) {
      return {made.data, made.shape};
    } else {
      Backend<Device>::copy(host_logits_.view().data, made.data, static_cast<std::size_t>(made.size()) * sizeof(Logit));
      Backend<Device>::synchronise();  // a copy to locked pages returns before it is done
      return {host_logits_.view().data, made.shape};
    }
  }

  std::optional<Model> owned_;
  const Model& model_;
  CachePrecision cache_precision_;
  KeyValueCache<T, Device> cache_;
  std::vector<std::vector<std::int32_t>> prefilled_;  ///< of each sequence: what stands at its beginning, of prefills
  VocabularyMatrix<T, Device> embedding_, head_;      ///< one where they are tied
  Tensor<std::int32_t, Device> ids_;
  Tensor<Logit, Device> logits_;
  Landing<Logit, Device> host_logits_;  ///< where the host cannot read the device's
  StepScalars<Device> scalars_;
  Tape<Device> tape_;
  std::unique_ptr<RecordedStep> recorded_{};
};

}  // namespace binllm
