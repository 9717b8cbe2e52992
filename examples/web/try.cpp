// SPDX-License-Identifier: MIT
// What the page of docs/try calls: it opens a packed model that lies in the page's memory, continues a text token by
// token, and computes F. Every function that may fail returns false then, and `try_message` says why.
#include <binllm/infer/generate.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/nn/packed.hpp>
#include <binllm/packed/kernels.hpp>
#include <binllm/policy/progressive_sign.hpp>

#include <emscripten/emscripten.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace bl = binllm;

namespace {

/// A model and the text that it continues.
class Session {
 public:
  explicit Session(const std::string& path) : tokenizer_(bl::load_tokenizer(path)) {
    const bl::ModelDescription description = bl::read_config(path);
    decoder_ = bl::with_family<bl::AnyDecoderPointer>(*description.family, [&]<class Architecture>() {
      return open<bl::CausalLm<Architecture, float, bl::Cpu, bl::Packed>>(path);
    });
    about_ = fmt::format("{}, {} layers of width {}, a vocabulary of {}, tokenizer {}, instructions {}",
                         description.family->name, config().num_hidden_layers, config().hidden_size,
                         config().vocab_size, tokenizer_.name(), bl::name_of(bl::instruction_set()));
  }
  [[nodiscard]] const std::string& about() const { return about_; }

  /// Returns what the prompt's tokens read.
  std::string begin(const std::string& prompt, double temperature, std::uint64_t seed) {
    bl::GenerateOptions options;
    options.max_tokens = 1;
    options.temperature = temperature;
    options.seed = seed;
    options.check();
    decoder_->keep(0);
    options_ = bl::detail::with_tokenizer(options, tokenizer_, config());
    ids_ = bl::encode_prompt(tokenizer_, prompt);
    stream_.emplace(tokenizer_);
    return stream_->add(ids_);
  }
  /// One more token: what it adds to the text, or nothing where the text has ended.
  std::optional<std::string> next() {
    if (std::ssize(ids_) > decoder_->capacity()) return std::nullopt;  // the last token need not be read
    bl::GeneratedTokens made = decoder_->generate(ids_, options_, nullptr);
    bl::GeneratedSequence& text = made.sequences.front();
    if (text.finish != bl::FinishReason::max_tokens) return std::nullopt;
    ids_ = std::move(text.tokens);
    return stream_->add(ids_.back());
  }
  /// What a text that has ended still owes: bytes that became no character.
  std::string finish() { return stream_->finish(); }

 private:
  [[nodiscard]] const bl::ModelConfig& config() const { return decoder_->config(); }

  template <class Model>
  bl::AnyDecoderPointer open(const std::string& path) {
    Model model = bl::load_model<Model>(path);
    bl::check_vocabulary(tokenizer_, model.config);
    constexpr bl::Index most = 2048;  // a page has not the memory for the caches of long contexts
    const bl::Index capacity = std::min(model.config.max_position_embeddings, most);
    return std::make_unique<bl::ErasedDecoder<Model>>(std::move(model), bl::DecoderOptions{.capacity = capacity});
  }

  bl::Tokenizer tokenizer_;
  bl::AnyDecoderPointer decoder_;
  std::string about_;
  bl::GenerateOptions options_;
  std::vector<std::int32_t> ids_;
  std::optional<bl::TextStream> stream_;
};

std::unique_ptr<Session> session;
std::string message;

Session& opened() {
  if (session == nullptr) throw std::runtime_error("no model is open");
  return *session;
}

/// Whether `body` went well; the message is what it returned, or the error.
template <class Body>
bool attempt(const Body& body) {
  try {
    message = body();
    return true;
  } catch (const std::exception& error) {
    message = error.what();
    return false;
  }
}

}  // namespace

extern "C" {

/// What the last call has to say: about a model, text, or an error.
EMSCRIPTEN_KEEPALIVE const char* try_message() { return message.c_str(); }

/// Opens a packed model folder in the page's memory.
EMSCRIPTEN_KEEPALIVE bool try_open(const char* path) {
  session.reset();
  return attempt([&] {
    session = std::make_unique<Session>(path);
    return session->about();
  });
}

EMSCRIPTEN_KEEPALIVE bool try_begin(const char* prompt, double temperature, double seed) {
  return attempt([&] { return opened().begin(prompt, temperature, static_cast<std::uint64_t>(seed)); });
}

/// 1: a token was made; 0: the text has ended; -1: an error.
EMSCRIPTEN_KEEPALIVE int try_next() {
  int made = 1;
  const bool well = attempt([&] {
    const std::optional<std::string> text = opened().next();
    made = text ? 1 : 0;
    return text ? *text : session->finish();
  });
  return well ? made : -1;
}

/// F(x, t).
EMSCRIPTEN_KEEPALIVE double try_progressive(double x, double t) { return bl::ProgressiveSign<double>::value(x, t); }
}
