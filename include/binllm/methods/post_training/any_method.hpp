// SPDX-License-Identifier: MIT
/// Methods after training that are chosen while a program runs: by name, with their options as words. They are compiled
/// once, in any_method.cpp, and not again for each family. Link binllm::methods.
#pragma once
#include <binllm/methods/post_training/calibrated_layer.hpp>
#include <binllm/methods/post_training/scalable_input.hpp>
#include <binllm/nn/any_kind.hpp>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

class AnyPostTrainingMethod {
 public:
  virtual ~AnyPostTrainingMethod() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Whether it looks at what enters the layers.
  [[nodiscard]] virtual bool calibrated() const = 0;
  /// The stored form that it writes, as config.json names it.
  [[nodiscard]] virtual std::string_view form() const = 0;
  [[nodiscard]] virtual std::map<std::string, std::string> form_words() const = 0;
  /// Quantises a layer into one of that form, and writes what it restores to.
  virtual void quantise(const CalibratedLayer& layer, AnyLinear<float, Cpu>& to, View<float> restored) const = 0;
  [[nodiscard]] virtual bool scales_inputs() const = 0;
  virtual void scale_input(ScalableInput& input) const = 0;
};

struct PostTrainingOption {
  std::string name, value;  ///< value: the method's own
  std::string help;         ///< with its range
  bool is_flag = false;     ///< whose values are "true" and "false"
};
struct PostTrainingEntry {
  std::string_view name, summary, source;
  bool calibrated = true;
  std::vector<PostTrainingOption> options;
};

/// The methods that the library ships, in the order of their list.
[[nodiscard]] std::vector<PostTrainingEntry> post_training_table();

/// One of them, with some options of its own replaced. Errors: unknown_name (no such method; no such option of it, with
/// those that it has), option_out_of_range (no number, or none that the option may be).
[[nodiscard]] std::unique_ptr<const AnyPostTrainingMethod> post_training_method(
    std::string_view name, const std::map<std::string, std::string>& options = {});

}  // namespace binllm
