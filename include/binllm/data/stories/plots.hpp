// SPDX-License-Identifier: MIT
/// The plots of the built-in stories. A plot is a list of sentences; `|` separates wordings of one sentence, braces
/// name what the cast of a story fills in (tell.hpp). Every wording of a plot names all that the plot's key holds, so
/// that two stories with one text have one key.
#pragma once
#include <span>
#include <string_view>

namespace binllm::stories {

// {H}: hero, {F}: friend; {he}, {his}, {him}, {child} are the hero's, {f.he}, {f.his}, {f.him}, {f.child} the friend's.

using Plot = std::span<const std::string_view>;

inline constexpr std::string_view lost_thing[] = {
    "Once there was a {trait} {child} named {H}.|{H} was a {trait} {child}.|There was a {child} named {H} who was very "
    "{trait}.",
    "{He} had a {colour} {thing}.|{He} loved {his} {colour} {thing}.|{His} best toy was a {colour} {thing}.",
    "One {day}, {H} took the {thing} and went to play {place}.|One {day}, {he} played with the {thing} {place}.",
    "{He} {game} until {end}.|There {H} {game} until {end}.",
    "When {H} came home, the {thing} was gone.|At home {he} looked for the {thing}, but it was gone.",
    "{H} began to cry.|{H} was very sad because {he} had lost {his} {thing}.|{He} sat down and cried.",
    "Then {his} friend {F} came by.|{His} friend {F} heard {him}.",
    "\"Why are you sad, {H}?\" asked {F}.|\"What is wrong, {H}?\" asked {F}.",
    "\"I lost my {colour} {thing},\" said {H}.|\"I cannot find my {colour} {thing},\" said {H}.",
    "\"Where did you play with it?\" asked {F}.|\"Where were you today?\" {f.he} asked.",
    "\"I was {place},\" said {H}.|\"I played {place},\" {he} said.",
    "So {H} and {F} went back to look {place}.|\"Then we will look {place},\" said {F}.",
    "{F} looked {spot} and saw something {colour}.|They looked and looked. Then {F} saw something {colour} {spot}.",
    "It was the {thing}!|\"Here is your {thing}!\" said {F}.",
    "\"Thank you, {F},\" said {H}.|{H} was so happy that {he} hugged {F}.",
    "After that, {H} never left {his} {thing} {spot} again.|Then {H} and {F} played with the {colour} {thing} all "
    "day."};

inline constexpr std::string_view broken_thing[] = {
    "{F} was a {trait} {f.child} who had a {colour} {thing}.|Once there was a {f.child} named {F}. {f.He} had a "
    "{colour} {thing}.",
    "One {day}, {F} played with {f.his} friend {H} {place}.|One {day}, {f.he} met {f.his} friend {H} {place}.",
    "{F} let {H} hold the {thing}.|\"You can play with my {thing},\" {F} said to {H}.",
    "But the {thing} {accident} and broke.|But {H} was not careful. The {thing} {accident} and broke.",
    "{H} was afraid because {F} loved the {colour} {thing}.|{H} felt bad. {He} wanted to hide the {thing}.",
    "But {he} told the truth.|Then {he} went to {F}.",
    "\"I am sorry, {F},\" said {H}. \"Your {thing} {accident}.\"|\"Your {thing} {accident}, and now it is broken,\" "
    "{he} said. \"I am sorry, {F}.\"",
    "{F} was sad, but {f.he} was not angry.|{F} looked at the {thing} and thought.",
    "\"I have {tool},\" said {F}. \"We can fix it.\"|\"Do not cry, {H},\" {f.he} said. \"I have {tool}.\"",
    "So {H} and {F} fixed the {thing} with {tool}.|{H} held the {thing}, and {F} used {tool} to fix it.",
    "Soon the {colour} {thing} was as good as new.|At last the {thing} was {colour} and shiny again.",
    "\"Thank you for telling me the truth, {H},\" said {F}.|\"You are a good friend, {H},\" said {F}.",
    "After that, {H} was always careful with the {thing}.|And {H} and {F} played {place} until {end}."};

inline constexpr std::string_view shared_lunch[] = {
    "One {day}, {H} sat {place} with a {taste} {food}.|{H} was a {trait} {child}. One {day}, {he} went to eat a "
    "{taste} {food} {place}.",
    "Then {F} came by.|Then {he} saw {his} friend {F}.",
    "{F} looked sad.|{F} looked very hungry.",
    "\"What is wrong, {F}?\" asked {H}.|\"Why are you sad, {F}?\" asked {H}.",
    "\"I have no lunch because {mishap},\" said {F}.|\"I had a lunch, but {mishap},\" {f.he} said.",
    "{H} looked at {his} {food}.|{H} thought about it.",
    "\"You can have half of my {food},\" {he} said.|\"Then we will share my {food}, {F},\" said {H}.",
    "So {H} and {F} ate the {taste} {food}.|They sat down and ate the {taste} {food} until {end}.",
    "The next day, {F} came to {H} with a {colour} {thing}.|The next day, {F} gave {H} a {colour} {thing}.",
    "\"This {thing} is for you, {H},\" said {F}.|\"Why do you give me a {thing}?\" asked {H}.",
    "\"You shared your {food} with me,\" {f.he} said.|\"Because you gave me half of your {food},\" said {F}.",
    "{H} took the {thing} and hugged {F}.|{H} loved the {colour} {thing}.",
    "After that, {H} and {F} always ate {place}.|Then they played with the {thing} {place}."};

inline constexpr std::string_view hidden_gift[] = {
    "It was the birthday of {F}.|{F} was a {trait} {f.child}, and today was {f.his} birthday.",
    "{H} had a {colour} {thing} for {f.him}.|{F} had a friend named {H}, who wanted to give {f.him} a {colour} "
    "{thing}.",
    "In the morning, {H} went to hide the {thing} {place}.|So {H} took the {thing} and hid it {place}.",
    "{He} put it {spot}.|{H} put the {thing} {spot} and ran home.",
    "\"Do you have a gift for me, {H}?\" asked {F}.|Then {F} came. \"Where is my gift, {H}?\" {f.he} asked.",
    "\"Yes, but you have to find it,\" said {H}. \"It is {place}.\"|\"I hid it {place},\" said {H}.",
    "{F} went to look {place}.|{F} ran and looked for it {place}.",
    "{f.He} did not see a gift.|{f.He} looked up and down but found nothing.",
    "\"Look {spot},\" said {H}.|\"Where is it, {H}?\" asked {F}. \"Look {spot},\" said {H}.",
    "{F} looked {spot}, and there it was.|So {f.he} looked {spot} and saw the gift.",
    "\"It is a {colour} {thing}!\" said {F}.|\"A {thing}! And it is {colour}!\" {f.he} said.",
    "\"Thank you, {H}. I always wanted a {thing}.\"|\"Happy birthday, {F},\" said {H}.",
    "Then {H} and {F} {game} until {end}.|{F} hugged {H}, and they played with the {colour} {thing} until {end}."};

inline constexpr std::string_view found_animal[] = {
    "Once there was a {trait} {child} named {H}.|{H} was a {child} who loved animals.",
    "One {day}, {H} went for a walk {place}.|One {day}, {he} {game} {place}.",
    "There {he} heard a sound {spot}.|Then {H} saw something move {spot}.",
    "It was a little {animal}.|A little {animal} sat there.",
    "The {animal} was {state}.|\"Poor {animal},\" said {H}. \"You are {state}.\"",
    "{H} ran home to get {remedy}.|So {he} ran to {his} {elder} to ask for {remedy}.",
    "\"Why do you need {remedy}, {H}?\" asked {his} {elder}.|\"What will you do with {remedy}?\" asked {his} {elder}.",
    "\"There is a {animal} {place}, and it is {state},\" said {H}.|\"I found a {animal} {spot},\" {he} said. \"It is "
    "{state}.\"",
    "\"Then I will come with you,\" said {his} {elder}.|\"You are a {trait} {child}, {H},\" said {his} {elder}.",
    "{H} went back and gave {remedy} to the {animal}.|They took {remedy} to the {animal} {spot}.",
    "Soon the {animal} was not {state} any more.|The {animal} was happy because it was not {state} now.",
    "\"I will name you {pet},\" said {H}.|{H} named the {animal} {pet}.",
    "After that, {H} played with {pet} {place} every day.|The {animal} came home with {H}. \"Good night, {pet},\" {he} "
    "said."};

inline constexpr std::string_view overcome_fear[] = {
    "{H} was a {trait} {child}, but {he} was afraid of {fear}.|Once there was a {child} named {H}. {He} was afraid of "
    "{fear}.",
    "One {day}, {H} and {F} {game} {place}.|One {day}, {he} was {place} with {his} friend {F}.",
    "Then {event}.|But then {event}.",
    "{H} began to cry because {he} was afraid of {fear}.|{H} wanted to run home.",
    "\"Do not be afraid, {H},\" said {F}.|\"What is wrong, {H}?\" asked {F}. \"I am afraid of {fear},\" said {H}.",
    "{F} had a {colour} {thing} with {f.him}.|{F} took out a {colour} {thing}.",
    "\"Hold my {thing},\" {f.he} said.|\"I will give you my {colour} {thing} to hold,\" said {F}.",
    "{H} held the {thing}, and {F} {comfort}.|So {H} took the {thing}. Then {F} {comfort}.",
    "Soon {H} was not afraid any more.|{H} looked at the {colour} {thing} and began to smile.",
    "\"Thank you, {F},\" said {H}.|\"You are a good friend, {F},\" {he} said.",
    "\"You can keep the {thing},\" said {F}.|\"The {thing} is for you, {H},\" said {F}.",
    "After that, {H} took the {colour} {thing} along {place}, and {he} was not afraid of {fear}.|Now {H} has a "
    "{colour} {thing} and is not afraid of {fear}."};

}  // namespace binllm::stories
