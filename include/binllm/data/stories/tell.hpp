// SPDX-License-Identifier: MIT
/// How a built-in story comes about: who and what is in it, then which words tell it.
#pragma once
#include <binllm/core/fnv.hpp>
#include <binllm/core/random.hpp>
#include <binllm/data/stories/plots.hpp>
#include <binllm/data/stories/words.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm::stories {

/// Random choices, one after the other, from one counter-based stream.
class Choices {
 public:
  Choices(std::uint64_t seed, std::uint64_t index) noexcept : random_(seed, Purpose::corpus, index) {}

  [[nodiscard]] std::size_t below(std::size_t bound) noexcept {
    return static_cast<std::size_t>(random_.below(next_++, bound));
  }

  template <class Word, std::size_t count>
  [[nodiscard]] const Word& among(const Word (&words)[count]) noexcept {
    return words[below(count)];
  }

 private:
  Random random_;
  std::uint64_t next_ = 0;
};

/// What the braces of a plot stand for.
class Cast {
 public:
  void set(std::string_view name, std::string_view word) { words_.emplace_back(name, word); }

  /// Names a person, and sets the pronouns that agree with the name.
  void set_person(std::string_view name, std::size_t person, bool is_hero) {
    const bool girl = person < std::size(names) / 2;
    set(name, names[person]);
    set(is_hero ? "he" : "f.he", girl ? "she" : "he");
    set(is_hero ? "He" : "f.He", girl ? "She" : "He");
    set(is_hero ? "his" : "f.his", girl ? "her" : "his");
    set(is_hero ? "His" : "f.His", girl ? "Her" : "His");
    set(is_hero ? "him" : "f.him", girl ? "her" : "him");
    set(is_hero ? "child" : "f.child", girl ? "girl" : "boy");
  }

  /// The word that a name stands for; empty if the story has none.
  [[nodiscard]] std::string_view word(std::string_view name) const noexcept {
    for (const auto& [role, word] : words_) {
      if (role == name) return word;
    }
    return {};
  }

  /// FNV-1a of all words so far.
  [[nodiscard]] std::uint64_t key() const noexcept {
    std::uint64_t hash = fnv_of_nothing;
    for (const auto& [name, word] : words_) {
      hash = fnv_extend(hash, word);
      hash = fnv_extend(hash, static_cast<unsigned char>(0xff));  // a word ends here
    }
    return hash;
  }

  /// Appends the pattern with every {name} replaced; words may hold names in turn.
  void fill(std::string_view pattern, std::string& text) const {
    while (!pattern.empty()) {
      const std::size_t open = pattern.find('{');
      text += pattern.substr(0, open);
      if (open == std::string_view::npos) return;
      const std::size_t close = pattern.find('}', open);
      const std::string_view name = pattern.substr(open + 1, close - open - 1);
      fill(word(name), text);
      pattern.remove_prefix(close + 1);
    }
  }

 private:
  std::vector<std::pair<std::string_view, std::string_view>> words_;
};

/// A story before it is worded: its plot and its cast. `key` identifies what happens, to whom and where.
class Draft {
 public:
  Draft(std::uint64_t seed, std::uint64_t index) : choices_(seed, index) {
    const std::size_t hero = choices_.below(std::size(names));
    cast_.set_person("H", hero, true);
    cast_.set("place", choices_.among(places));
    const std::size_t kind = choices_.below(6);
    if (kind == 4) {
      plot_ = found_animal;
      add_animal();
    } else {
      const std::size_t others = std::size(names) - 1;
      cast_.set_person("F", (hero + 1 + choices_.below(others)) % std::size(names), false);
      cast_.set("colour", choices_.among(colours));
      cast_.set("thing", choices_.among(things));
      add_event(kind);
    }
    key_ = cast_.key() + kind;
  }

  [[nodiscard]] std::uint64_t key() const noexcept { return key_; }
  /// Who or what of this plot a name like "thing" stands for; empty where the plot has no such role.
  [[nodiscard]] std::string_view word(std::string_view name) const noexcept { return cast_.word(name); }

  [[nodiscard]] std::string tell() const {
    Choices choices = choices_;
    Cast cast = cast_;
    cast.set("trait", choices.among(traits));
    cast.set("day", choices.among(days));
    cast.set("game", choices.among(games));
    cast.set("end", choices.among(ends));
    std::string text;
    for (const std::string_view sentence : plot_) {
      if (!text.empty()) text += ' ';
      cast.fill(wording(sentence, choices), text);
    }
    return text;
  }

 private:
  void add_animal() {
    cast_.set("spot", choices_.among(spots));
    cast_.set("animal", choices_.among(animals));
    cast_.set("pet", choices_.among(pets));
    cast_.set("elder", choices_.among(elders));
    const Need& need = choices_.among(needs);
    cast_.set("state", need.state);
    cast_.set("remedy", need.remedy);
  }

  void add_event(std::size_t kind) {
    if (kind == 0 || kind == 3) {
      plot_ = kind == 0 ? Plot(lost_thing) : Plot(hidden_gift);
      cast_.set("spot", choices_.among(spots));
    } else if (kind == 1) {
      plot_ = broken_thing;
      const Accident& accident = choices_.among(accidents);
      cast_.set("accident", accident.happened);
      cast_.set("tool", accident.tool);
    } else if (kind == 2) {
      plot_ = shared_lunch;
      cast_.set("mishap", choices_.among(mishaps));
      cast_.set("food", choices_.among(foods));
      cast_.set("taste", choices_.among(tastes));
    } else {
      plot_ = overcome_fear;
      const Fear& fear = choices_.among(fears);
      cast_.set("fear", fear.of);
      cast_.set("event", fear.event);
      cast_.set("comfort", fear.comfort);
    }
  }

  static std::string_view wording(std::string_view sentence, Choices& choices) {
    std::size_t count = 1;
    for (const char letter : sentence) count += letter == '|' ? 1 : 0;
    for (std::size_t skip = choices.below(count); skip > 0; --skip) sentence.remove_prefix(sentence.find('|') + 1);
    return sentence.substr(0, sentence.find('|'));
  }

  Choices choices_;
  Cast cast_;
  Plot plot_;
  std::uint64_t key_ = 0;
};

}  // namespace binllm::stories
