// SPDX-License-Identifier: MIT
#include <binllm/methods/post_training/any_method.hpp>
#include <binllm/methods/post_training/shipped.hpp>
#include <binllm/nn/erased_format.hpp>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <type_traits>

namespace binllm {

namespace {

template <PostTrainingMethod M>
class MethodOf final : public AnyPostTrainingMethod {
 public:
  explicit MethodOf(const M& method) : method_(method) {}
  std::string_view name() const override { return M::name; }
  bool calibrated() const override { return is_calibrated<M>(); }
  std::string_view form() const override { return M::Form::name; }
  std::map<std::string, std::string> form_words() const override {
    std::map<std::string, std::string> words;
    put_words(Stored<typename M::Form>{method_.form()},
              [&](std::string_view key, std::string_view value) { words[std::string(key)] = value; });
    return words;
  }
  void quantise(const CalibratedLayer& layer, AnyLinear<float, Cpu>& to, View<float> restored) const override {
    auto& stored = static_cast<LinearOf<Stored<typename M::Form>, float, Cpu>&>(to).layer;
    typename M::Form::template Matrix<float, Cpu>& matrix = stored;
    method_(layer, matrix);
    detail::write_dense(stored, restored);
  }
  bool scales_inputs() const override {
    return requires(ScalableInput & input) { method_.scale_input(input); };
  }
  void scale_input([[maybe_unused]] ScalableInput& input) const override {
    if constexpr (requires { method_.scale_input(input); }) method_.scale_input(input);
  }

 private:
  M method_;
};

/// Calls f(name, member, help, range) for each member that is no set of options itself.
template <class Options, class F>
void for_each_option(Options& options, const F& f) {
  std::remove_const_t<Options>::visit(
      [&]<class Member>(std::string_view name, Member& member, std::string_view help, const OptionRange& range) {
        if constexpr (OptionSet<Member>) {
          for_each_option(member, f);
        } else {
          f(name, member, help, range);
        }
      },
      options);
}

template <class Member>
[[nodiscard]] bool read(const std::string& text, Member& value) {
  if constexpr (std::is_same_v<Member, bool>) {
    value = text == "true";
    return value || text == "false";
  } else if constexpr (std::is_floating_point_v<Member>) {
    char* rest = nullptr;
    value = static_cast<Member>(std::strtod(text.c_str(), &rest));
    return !text.empty() && *rest == '\0';
  } else {
    const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    return status == std::errc() && rest == text.data() + text.size();
  }
}

template <PostTrainingMethod M>
[[nodiscard]] PostTrainingEntry entry_of() {
  PostTrainingEntry entry{M::name, M::summary, M::source, is_calibrated<M>(), {}};
  const M method;
  for_each_option(method, [&]<class Member>(std::string_view name, const Member& value, std::string_view help,
                                            const OptionRange& range) {
    constexpr bool flag = std::is_same_v<Member, bool>;
    entry.options.push_back({std::string(name), fmt::format("{}", value),
                             flag ? std::string(help) : fmt::format("{} ({})", help, range.text()), flag});
  });
  return entry;
}

template <PostTrainingMethod M>
[[nodiscard]] M with_options(const std::map<std::string, std::string>& words) {
  M method;
  std::string known;
  std::size_t found = 0;
  for_each_option(method, [&](std::string_view name, auto& member, std::string_view, const OptionRange& range) {
    known += (known.empty() ? "" : ", ") + std::string(name);
    const auto word = words.find(std::string(name));
    if (word == words.end()) return;
    ++found;
    if (!read(word->second, member))
      throw Error(ErrorId::option_out_of_range, M::name, name, range.text(), word->second);
  });
  if (found < words.size()) {
    for (const auto& word : words) {
      const std::string& name = word.first;
      bool has = false;
      for_each_option(
          method, [&](std::string_view own, auto&, std::string_view, const OptionRange&) { has = has || own == name; });
      if (!has) throw Error(ErrorId::unknown_name, M::name, "option", known, name);
    }
  }
  check_options(M::name, method);
  static_cast<void>(method.form());
  return method;
}

}  // namespace

std::vector<PostTrainingEntry> post_training_table() {
  std::vector<PostTrainingEntry> table;
  for_each_type<ShippedPostTraining>([&]<class M>() { table.push_back(entry_of<M>()); });
  return table;
}

std::unique_ptr<const AnyPostTrainingMethod> post_training_method(std::string_view name,
                                                                  const std::map<std::string, std::string>& options) {
  std::unique_ptr<const AnyPostTrainingMethod> made;
  with_named<ShippedPostTraining>("post_training_method", "method", name,
                                  [&]<class M>() { made = std::make_unique<MethodOf<M>>(with_options<M>(options)); });
  return made;
}

}  // namespace binllm
