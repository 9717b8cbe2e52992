#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: layers.sh INCLUDE_FOLDER [RULE...]
# What the house promises about include/binllm and the examples beside it; without RULE all of this:
#   layers     which room may include which
#   families   nothing above nn names a model family but its own file in models/, and the list models/families.hpp
#   kinds      nothing in io, train and infer names a kind of linear layer; Dense stands in nn and models alone
#   names      the name of a policy is a string in one place, its member `name`; a line may say that its string is no
#              policy in a comment ("// the phase, no policy"), and one plain word ("row") is not taken for one
#   cycles     no header reaches itself through its includes
# Families, kinds and policies are read from the sources, which clang-format has formatted:
#   a family   `struct XArchitecture` in models/, or `struct X` beside `struct XConfig`
#   a kind     a struct of nn/ with a member `name`, or an alias there that names a kind; no kinds are Quantised,
#              Stored and AnyKind, which hold any
#   a policy   a struct of policy/ with a member `name`; not a word that names other things too, nor the phase of a run
# A rule that finds nothing to watch over is broken, and says so.
set -euo pipefail
export LC_ALL=C
cd "$1"
shift
rules=${*:-layers families kinds names cycles}

files=() examples=()
while read -r file; do files+=("$file"); done < <(find binllm -name '*.[ch]pp' -o -name '*.cuh' -o -name '*.cu' | sort)
if [ -d ../examples ]; then
  while read -r file; do examples+=("$file"); done < <(find ../examples -name '*.[ch]pp' -o -name '*.cu' | sort)
fi

# Two passes: who there is, and then who names whom.
awk -v rules="$rules" '
BEGIN {
  # Each room sees itself and those named here.
  base = "core"
  sees["core"] = ""
  sees["policy"] = sees["tokenizer"] = base
  sees["simd"] = base
  sees["device"] = base " simd"
  sees["interop"] = sees["device"] " device"
  sees["autodiff"] = sees["device"] " device"
  sees["ops"] = sees["autodiff"] " autodiff policy"
  sees["packed"] = sees["ops"] " ops"
  sees["nn"] = sees["packed"] " packed"
  sees["models"] = sees["nn"] " nn"
  sees["ranks"] = sees["device"] " device"
  siblings = "optim data infer eval"
  sees["methods"] = sees["models"] " models"
  sees["optim"] = sees["models"] " models ranks " siblings
  sees["data"] = sees["infer"] = sees["eval"] = sees["optim"] " tokenizer"
  sees["train"] = sees["methods"] " methods ranks " siblings
  sees["io/containers"] = base
  sees["io/folders"] = sees["train"] " train methods tokenizer io/containers"
  sees["io/any"] = sees["io/folders"] " io/folders"
  everywhere = "fwd.hpp version.hpp"
  umbrellas = "binllm.hpp io.hpp io.cpp compiled.hpp compiled.cpp cuda.cuh"
  heavy = "^<(iostream|ranges|functional|regex)>$"
  above_nn = "models methods optim data infer eval train io/containers io/folders io/any"
  without_kinds = "infer train io/containers io/folders io/any"
  formats = "Quantised Stored AnyKind"  # of any kind
  plain_words = "none row column tensor group shared learned constant uniform"  # that an error may say as well
  count = split(rules, word, " ")
  for (i = 1; i <= count; i++) {
    if (!has("layers families kinds names cycles", word[i])) { print "no such rule: " word[i]; failures++ }
    on[word[i]] = 1
  }
}
function has(list, word) { return index(" " list " ", " " word " ") > 0 }
function room(path,   part, n) {  # binllm/ops/cpu/gemm.hpp -> ops, binllm/io/folders/model.hpp -> io/folders
  n = split(path, part, "/")
  if (part[1] != "binllm") return "examples"
  if (n == 2) return part[2]
  return part[2] == "io" && n > 3 ? "io/" part[3] : part[2]
}
function shown(path) { return path ~ /^binllm/ ? "include/" path : substr(path, 4) }
function wrong(text) { printf "%s:%d: %s\n", shown(FILENAME), FNR, text; failures++ }
function broken(text) { print text; failures++ }

# Splits a line: `text` is without comments, `code` without strings as well, literal[1..literals] are the strings.
function read_line(rest,   token) {
  text = code = ""
  literals = 0
  if (in_comment) {
    if (!match(rest, /\*\//)) return
    rest = substr(rest, RSTART + 2)
    in_comment = 0
  }
  while (match(rest, /\047"\047|"([^"\\]|\\.)*"|\/\/|\/\*/)) {
    token = substr(rest, RSTART, RLENGTH)
    text = text substr(rest, 1, RSTART - 1)
    code = code substr(rest, 1, RSTART - 1)
    if (token == "//") return
    rest = substr(rest, RSTART + RLENGTH)
    if (token == "/*") {
      in_comment = !match(rest, /\*\//)
      if (in_comment) return
      rest = substr(rest, RSTART + 2)
      continue
    }
    if (token ~ /^"/) literal[++literals] = substr(token, 2, length(token) - 2)
    text = text token
    code = code "\"\""
  }
  text = text rest
  code = code rest
}
# The word stands in the line, and what follows it does not go on as `further` says.
function names(line, word, further,   at, before, after) {
  while ((at = index(line, word)) > 0) {
    before = at > 1 ? substr(line, at - 1, 1) : " "
    after = substr(line, at + length(word), 1)
    if (before !~ /[A-Za-z0-9_]/ && after !~ further) return 1
    line = substr(line, at + length(word))
  }
  return 0
}
function names_word(line, word) { return names(line, word, "[A-Za-z0-9_]") }
function names_family(line, word) { return names(line, word, "[a-z0-9_]") }  # LlamaForCausalLM names Llama

FNR == 1 { from = room(FILENAME); alias = value = ""; in_comment = 0 }
{ read_line($0) }
code ~ /^[ \t]*#[ \t]*include/ {
  target = text
  sub(/^[ \t]*#[ \t]*include[ \t]*/, "", target)
  sub(/[ \t]+$/, "", target)
  included = target ~ /^<binllm\// ? substr(target, 2, length(target) - 2) : ""
}
code !~ /^[ \t]*#[ \t]*include/ { target = included = "" }

pass == 1 {
  if (FNR == 1) rooms[from] = 1
  if (included != "") edges[FILENAME] = edges[FILENAME] " " included
  if (match(code, /^(struct|class) [A-Za-z_0-9]+/)) {
    split(code, word, " ")
    owner = word[2]
    sub(/[^A-Za-z_0-9].*/, "", owner)
    if (from == "models" && code !~ /^(struct|class) [A-Za-z_0-9]+;/) home[owner] = FILENAME
    if (from == "nn" && match(code, /[^:]:[^:]/)) meaning[owner] = substr(code, RSTART + 1)
  }
  if (code ~ /^using [A-Za-z_0-9]+ =/) { split(code, word, " "); alias = word[2] }
  if (alias != "" && from == "nn") meaning[alias] = meaning[alias] " " substr(code, index(code, "=") + 1)
  if (code ~ /;/) alias = ""
  if (code ~ /^  static constexpr std::string_view (.*[ ,])?name =/) {
    if (from == "nn" && !has(formats, owner)) kind[owner] = 1
    value = from == "policy" ? "expected" : ""
    sub(/.*name =/, "name =", text)
  }
  while (value != "" && match(text, /"[^"]*"/)) {  # `name = attached ? "dual" : "dual-detached"` gives two
    policy[substr(text, RSTART + 1, RLENGTH - 2)] = FILENAME ":" FNR
    text = substr(text, RSTART + RLENGTH)
  }
  if (code ~ /;/) value = ""
  next
}

!started {
  started = 1
  for (name in home) {
    if (name ~ /.Architecture$/) family[substr(name, 1, length(name) - 12)] = home[name]
    else if ((name "Config") in home) family[name] = home[name]
  }
  do {
    more = 0
    count = split(formats, word, " ")
    for (i = 1; i <= count; i++) kind[word[i]] = 1
    for (name in meaning) {
      if (name in kind) continue
      for (other in kind) if (names_word(meaning[name], other)) { kind[name] = more = 1; break }
    }
  } while (more)
  for (i = 1; i <= count; i++) delete kind[word[i]]
  for (name in family) families++
  for (name in kind) kinds++
  for (name in policy) policies++
  if (on["families"] && "models" in rooms && !families) broken("families: models/ has none")
  if (on["kinds"] && "nn" in rooms && !kinds) broken("kinds: nn/ has none")
  if (on["names"] && "policy" in rooms && !policies) broken("names: no policy of policy/ has one")
}

FNR == 1 { umbrella = has(umbrellas, from); files++ }

on["layers"] && target != "" && from != "examples" && FILENAME !~ /\.cu$/ { check_arrow() }
function check_arrow(   to) {
  if (target ~ /^"/) return wrong("write the whole path, <binllm/...>, not " target)
  if (target ~ heavy && FILENAME ~ /\.hpp$/ && from !~ /^(io|interop)/) return wrong(target " is too heavy for a header")
  if (included == "") return
  to = room(included)
  if (umbrella || has(everywhere, to)) return
  if (has(umbrellas, to)) return wrong("nothing includes the umbrella " target)
  if (has(everywhere, from)) return to == base ? 0 : wrong(from " sees " base " only, not " target)
  if (!(from in sees)) return wrong("the room " from " stands on no layer")
  if (!(to in sees)) return wrong("the room " to " stands on no layer")
  if (from == to) return
  if (!has(sees[from], to)) return wrong("the layer " from " does not see " to ": " target)
  arrow[from, to] = FILENAME
}

on["families"] && has(above_nn, from) && FILENAME != "binllm/models/families.hpp" {
  for (name in family) {
    if (FILENAME == family[name]) continue
    if (included == family[name]) wrong("includes the family " name)
    else if (names_family(text, name)) wrong("names the family " name)
  }
}

on["kinds"] && from != "nn" {
  for (name in kind) {
    if (has(without_kinds, from) && names_word(code, name)) wrong("names a kind of linear layer, " name)
    else if (name == "Dense" && has(above_nn, from) && from != "models" && names_word(code, name)) wrong("names the format Dense")
  }
}

on["names"] && $0 !~ /\/\/.* no policy/ {
  others = plain = ""  # different names of policies in this line
  for (i = 1; i <= literals; i++) {
    if (!(literal[i] in policy) || policy[literal[i]] == FILENAME ":" FNR || has(others " " plain, literal[i])) continue
    if (has(plain_words, literal[i])) plain = plain " " literal[i]
    else others = others " " literal[i]
  }
  if (others != "" || plain ~ /[^ ] [^ ]/) others = others plain
  for (i = 1; i <= literals; i++) {
    if (literal[i] in policy && has(others, literal[i])) {
      wrong("\"" literal[i] "\" is the name of a policy, which stands in " shown(policy[literal[i]]))
    }
  }
}

# Depth first; a header that is met while it is still open closes a cycle, which is said once.
function visit(path,   target, n, i) {
  state[path] = "open"
  trail[++length_of_trail] = path
  n = split(edges[path], target, " ")
  for (i = 1; i <= n; i++) {
    if (state[target[i]] == "open") say_cycle(target[i])
    else if (state[target[i]] == "") visit(target[i])
  }
  length_of_trail--
  state[path] = "done"
}
function say_cycle(path,   i, text) {
  for (i = length_of_trail; trail[i] != path; i--) text = " -> " trail[i] text
  broken("include/" path ": includes itself" (text == "" ? "" : ": " path text " -> " path))
}

END {
  n = split(siblings, sibling, " ")
  for (i = 1; i < n; i++)
    for (j = i + 1; j <= n; j++)
      if ((sibling[i], sibling[j]) in arrow && (sibling[j], sibling[i]) in arrow) {
        broken("include/" arrow[sibling[i], sibling[j]] " and include/" arrow[sibling[j], sibling[i]] ": " sibling[i] \
               " and " sibling[j] " see each other")
      }
  if (on["cycles"]) {
    for (i = 1; i < ARGC; i++) if (ARGV[i] ~ /^binllm/ && state[ARGV[i]] == "") visit(ARGV[i])
  }
  printf "%d files, %d things that the house does not allow (%s)\n", files, failures, rules
  exit failures > 0
}' pass=1 "${files[@]}" pass=2 "${files[@]}" ${examples[@]+"${examples[@]}"}
