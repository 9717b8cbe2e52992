// SPDX-License-Identifier: MIT
/// The vocabulary of the built-in stories. Every word here is chosen by the plot or by the wording of a story.
#pragma once
#include <string_view>

namespace binllm::stories {

/// The first half are girls, the second half boys.
inline constexpr std::string_view names[] = {"Anna", "Bella", "Clara", "Daisy", "Emma", "Fay",  "Grace", "Hana",
                                             "Iris", "Julia", "Kate",  "Lily",  "Mia",  "Nora", "Rosa",  "Zoe",
                                             "Adam", "Ben",   "Carl",  "Dan",   "Eli",  "Finn", "Gus",   "Hugo",
                                             "Ivan", "Jack",  "Leo",   "Max",   "Nick", "Omar", "Sam",   "Tom"};

inline constexpr std::string_view colours[] = {"red",   "blue",  "green",  "yellow", "white",
                                               "brown", "black", "silver", "pink",   "gray"};

inline constexpr std::string_view things[] = {"ball", "kite", "drum", "doll", "boat",  "hat",   "scarf",
                                              "cup",  "book", "bell", "horn", "train", "lamp",  "robot",
                                              "box",  "ring", "key",  "bag",  "flute", "bucket"};

/// Where a story happens, with its preposition.
inline constexpr std::string_view places[] = {"in the park",   "by the pond",   "in the forest", "on the beach",
                                              "on the farm",   "in the garden", "on the hill",   "by the river",
                                              "at the market", "at the school", "in the barn",   "in the meadow"};

/// Where a thing hides.
inline constexpr std::string_view spots[] = {
    "under a bench", "behind a tree", "in the tall grass", "under a bush",      "next to a rock",
    "near a fence",  "under a cart",  "behind a wall",     "under some leaves", "inside a basket"};

/// How a thing breaks, and what mends it.
struct Accident {
  std::string_view happened, tool;
};
inline constexpr Accident accidents[] = {{"fell down the stairs", "some glue"},
                                         {"fell off the table", "a roll of tape"},
                                         {"was caught in the door", "a piece of string"},
                                         {"hit the wall", "a hammer"},
                                         {"was bitten by a dog", "a needle"},
                                         {"fell from a window", "a bit of wire"}};

inline constexpr std::string_view foods[] = {"apple pie", "cake",  "pear",  "bun",     "sandwich",
                                             "cookie",    "peach", "melon", "pancake", "plum"};
inline constexpr std::string_view tastes[] = {"sweet", "warm", "big", "fresh", "soft", "round"};
/// Why somebody has no lunch, in their own words.
inline constexpr std::string_view mishaps[] = {"a bird took it",         "a dog ate it",
                                               "it fell into the mud",   "I left it at home",
                                               "it fell into the water", "I gave it to a hungry cat"};

inline constexpr std::string_view animals[] = {"kitten", "puppy", "bird",   "rabbit",   "duck",
                                               "fox",    "mouse", "turtle", "hedgehog", "lamb"};
inline constexpr std::string_view pets[] = {"Dot", "Pip", "Snow", "Coco", "Bean", "Fuzz", "Muffin", "Star"};
/// What an animal suffers from, and what helps.
struct Need {
  std::string_view state, remedy;
};
inline constexpr Need needs[] = {{"hungry", "some bread"}, {"cold", "a warm blanket"}, {"wet", "a dry towel"},
                                 {"hurt", "a bandage"},    {"tired", "a soft pillow"}, {"thirsty", "a bowl of water"}};

inline constexpr std::string_view elders[] = {"mother", "father", "grandmother", "grandfather", "aunt", "uncle"};

/// What somebody is afraid of, when it comes, and what a friend does about it.
struct Fear {
  std::string_view of, event, comfort;
};
inline constexpr Fear fears[] = {{"the dark", "it became dark", "turned on a light"},
                                 {"thunder", "a storm came", "sang a loud song"},
                                 {"big dogs", "a big dog came near", "gave the dog a bone"},
                                 {"bees", "some bees flew by", "stood very still"},
                                 {"the wind", "the wind began to blow", "held {his} hand"},
                                 {"snakes", "a snake came out of a hole", "waited until it went away"}};

// Wording: these choices change how a story sounds, not what happens in it.
inline constexpr std::string_view traits[] = {"kind", "brave", "quiet", "clever", "funny", "gentle"};
inline constexpr std::string_view days[] = {"morning", "afternoon", "sunny day", "cold day", "windy day", "Sunday"};
inline constexpr std::string_view games[] = {"ran and jumped", "danced and sang", "picked flowers",
                                             "built a little house", "played hide and seek"};
inline constexpr std::string_view ends[] = {"it began to rain", "the sun went down", "it was time for lunch",
                                            "the bell rang"};

}  // namespace binllm::stories
