#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tables of the experiment on a real model, from the lines that real.sh and methods.sh have written; nothing is run.
# A row, or a table, that was not run says so. Of a row with several learning rates the one counts that is best on valid.txt with its
# first seed; then the mean over its seeds, and their deviation.
#
# usage: real_tables.sh [TABLE...]      figure2 figure5 figure6 table4 table5 table6 table9 columns levers cost
#        real_tables.sh --pages PAGE... writes anew what stands in a page between <!-- table: TABLE... --> and <!-- end -->
#   RESULTS  folder with real-135m.jsonl, real-135m-tasks.jsonl and smollm2-135m.jsonl
set -euo pipefail
export LC_ALL=C.UTF-8
results=${RESULTS:-$(dirname "$0")/results}
files=()
for file in real-135m.jsonl real-135m-tasks.jsonl smollm2-135m.jsonl; do
  [ ! -s "$results/$file" ] || files+=("$results/$file")
done
[ ${#files[@]} -gt 0 ] || { echo "real_tables.sh: no lines in $results: real.sh writes them" >&2; exit 1; }
if [ "${1-}" = --pages ]; then
  shift
  self=$(realpath "$0")
  for page in "$@"; do
    awk -v self="$self" -v page="$page" '
      function stop(why) { print "real_tables.sh: " page ": " why > "/dev/stderr"; failed = 1; exit 1 }
      /^<!-- table: .* -->$/ {
        if (inside) stop("no end of the table before: " $0)
        print; names = $0; gsub(/<!-- table: | -->/, "", names); fflush()
        if (system("bash \"" self "\" " names) != 0) stop("not made: " names)
        print "\n<!-- end -->"; inside = 1; next
      }
      inside { if ($0 == "<!-- end -->") inside = 0; next }
      { print }
      END { if (!failed && inside) stop("no end of its last table"); exit failed }' "$page" > "$page.new" || { rm -f "$page.new"; exit 1; }
    mv "$page.new" "$page"
  done
  exit
fi
awk -v tables="${*:-table4 table5 table9 figure5 figure6 figure2 table6 columns levers cost}" -f - "${files[@]}" <<'AWK'
BEGIN { all_tasks = "boolq piqa hellaswag winogrande arc_easy arc_challenge openbookqa" }
function text(key) { return match($0, "\"" key "\":\"[^\"]*\"") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 5) : "" }
function value(key) { return match($0, "\"" key "\":[-+.0-9eE]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) + 0 : 0 }

# ---------------------------------------------------------------- lines
# A number that is not there reads as 0, the best of all perplexities: such a line does not count.
function without(key) {
  if (value(key) > 0) return 0
  printf "real_tables.sh: %s, line %d: left out, it has no %s\n", FILENAME, FNR, key > "/dev/stderr"
  return 1
}
FILENAME ~ /smollm2-135m/ {
  method = text("method")
  if ((text("kind") == "post-training" || text("kind") == "full precision") && !without("valid_perplexity") && !without("test_perplexity"))
    other[method] = value("bits") SUBSEP value("valid_perplexity") SUBSEP value("test_perplexity")
  next
}
FILENAME ~ /-tasks/ {
  if (without("average")) next
  run = text("row") SUBSEP value("millions") SUBSEP value("learning_rate"); ++answered[run]
  for (i_ = split("average " all_tasks, task_, " "); i_ > 0; --i_) score[run, task_[i_]] += value(task_[i_])
  next
}
without("mix") || without("wikitext2") || without("ptb") { next }
{
  row = text("row") SUBSEP value("millions"); rate = value("learning_rate"); run = row SUBSEP rate; seed = value("seed")
  if (!(row in known)) { known[row] = ++rows; name[rows] = text("row"); millions[rows] = value("millions") }
  if (!(row in first_seed) || seed < first_seed[row]) { first_seed[row] = seed; delete best[row] }
  if (seed == first_seed[row] && (!(row in best) || value("mix") < best_mix[row])) { best[row] = rate; best_mix[row] = value("mix") }
  k = ++count[run]
  add(run, "mix", value("mix")); add(run, "wikitext2", value("wikitext2")); add(run, "ptb", value("ptb"))
  seconds[run] += value("seconds"); bits[run] = value("bits"); flags[run] = text("flags"); rates[row] = rates[row] (rates[row] ? " " : "") rate
  if (match($0, /,[0-9.e+-]+\]\]\}$/)) after_stage_1[run] = substr($0, RSTART + 1, RLENGTH - 4) + 0
  if (match($0, /"losses":\[\[[0-9]+,[^]]*/)) { split(substr($0, RSTART, RLENGTH), part, ","); first_loss[run] = part[2] }
}
function add(run, what, x) { sum[run, what] += x; squares[run, what] += x * x }

# ---------------------------------------------------------------- numbers
function chosen(row) { return row SUBSEP best[row] }
function there(label, m) { return (label SUBSEP m) in known }
function mean(row, what,   run) { run = chosen(row); return sum[run, what] / count[run] }
function deviation(row, what,   run, n, m, v) {
  run = chosen(row); n = count[run]; if (n < 2) return 0
  m = sum[run, what] / n; v = (squares[run, what] - n * m * m) / (n - 1); return v > 0 ? sqrt(v) : 0
}
function cell(row, what,   s) {
  s = sprintf("%.1f", mean(row, what)); return count[chosen(row)] > 1 ? s sprintf(" ± %.1f", deviation(row, what)) : s
}
# | label | rate | seeds | mix | WikiText-2 | PTB | paper |
function line(label, label_in_lines, m, paper,   row) {
  row = label_in_lines SUBSEP m
  if (!(row in known)) { printf "| %s | | | not run | | | %s |\n", label, paper; return }
  printf "| %s | %g | %d | %s | %s | %s | %s |\n", label, best[row], count[chosen(row)], cell(row, "mix"), cell(row, "wikitext2"), cell(row, "ptb"), paper
}
function head(title, paper) {
  printf "\n**%s**\n\n| | rate | seeds | mix | WikiText-2 | PTB | %s |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n", title, paper
}
# Whether none of these rows was run at that budget; says so in place of the table.
function absent(title, labels, m,   i, n, label) {
  n = split(labels, label, " ")
  for (i = 1; i <= n; ++i) if (there(label[i], m)) return 0
  printf "\n**%s**: not run yet.\n", title; return 1
}
# How far b's perplexity is above a's, in per cent of a's, and whether that is more than chance: beyond 2 % where one of
# them has one seed, beyond two deviations of the difference of means where both have more.
function compare(a, b, what, m,   x, y, gap, noise, ra, rb) {
  ra = a SUBSEP m; rb = b SUBSEP m
  if (!(ra in known) || !(rb in known)) { verdict = "not run yet"; return "not run yet" }
  x = mean(ra, what); y = mean(rb, what); gap = 100 * (y / x - 1); noise = 2
  if (count[chosen(ra)] > 1 && count[chosen(rb)] > 1)
    noise = 100 * 2 * sqrt(deviation(ra, what) ^ 2 / count[chosen(ra)] + deviation(rb, what) ^ 2 / count[chosen(rb)]) / x
  verdict = gap > noise ? "agrees" : gap < -noise ? "differs" : "not decidable here"
  return sprintf("%s %.1f %% %s", what == "mix" ? "mix" : what == "ptb" ? "PTB" : "WikiText-2", gap < 0 ? -gap : gap, gap < 0 ? "behind" : "ahead")
}
# The paper has `a` ahead of `b`: what is found, on mix and on WikiText-2.
function claim(sentence, a, b, m,   mix, wiki, both) {
  mix = compare(a, b, "mix", m); both = verdict; wiki = compare(a, b, "wikitext2", m)
  if (both != verdict) both = both == "not decidable here" ? verdict : verdict == "not decidable here" ? both : "differs by text"
  printf "%s: %s.%s\n\n", sentence, both == "not run yet" ? both : "**" both "**", both == "not run yet" ? "" : " Here it is on " mix ", on " wiki "."
}
function post(method,   part) { if (!(method in other)) return 0; split(other[method], part, SUBSEP); post_bits = part[1]; post_valid = part[2]; post_test = part[3]; return 1 }

# ---------------------------------------------------------------- tables
function table4(   title) {
  title = "Table 4: what backward and forward do"; if (absent(title, "vanilla ede progressive", 46)) return
  head(title, "paper: mean of three")
  line("vanilla straight-through", "vanilla", 46, "38.1"); line("EDE (IR-Net)", "ede", 46, "37.3"); line("progressive", "progressive", 46, "35.0")
  print ""
  claim("progressive ahead of EDE (by 6.6 % in the paper)", "progressive", "ede", 46)
  claim("EDE ahead of vanilla (by 2.1 %)", "ede", "vanilla", 46)
}
function table5(   title) {
  title = "Table 5: scales"; if (absent(title, "scale-analytic scale-learned progressive", 46)) return
  head(title, "paper, Pythia-70M")
  line("S_a alone", "scale-analytic", 46, "-"); line("S_l alone", "scale-learned", 46, "-"); line("S_l S_a", "progressive", 46, "best")
  print ""
  claim("S_l S_a ahead of S_a alone", "progressive", "scale-analytic", 46)
  claim("S_l S_a ahead of S_l alone", "progressive", "scale-learned", 46)
}
function table9(   title) {
  title = "Table 9: stage 1"; if (absent(title, "progressive stage-1", 46)) return
  head(title, "paper, Llama-3.2-1B: WikiText-2, C4, PTB")
  line("without", "progressive", 46, "15.1, 18.7, 27.5"); line("with (BaI)", "stage-1", 46, "14.7, 18.4, 27.0")
  print ""
  claim("stage 1 ahead (by 2.7, 1.6 and 1.9 % in the paper)", "stage-1", "progressive", 46)
}
function figure5(   i, n, label, method) {
  print "\n**Figure 5: the loss that training starts from**\n\n| preprocessing | loss on valid.txt | paper |\n| --- | ---: | ---: |"
  n = split("none:rtn AWQ:awq GPTQ:gptq AWQ+GPTQ:awq-gptq", label, " ")
  for (i = 1; i <= n; ++i) {
    split(label[i], method, ":")
    if (post(method[2])) printf "| %s | %.2f | %s |\n", method[1], log(post_valid), i == 1 ? "-" : "above none"
    else printf "| %s | not run | above none |\n", method[1]
  }
  if (there("stage-1", 46) && after_stage_1[chosen("stage-1" SUBSEP 46)])
    printf "| stage 1 (BaI), on its own text | %.2f | 7.2 |\n", after_stage_1[chosen("stage-1" SUBSEP 46)]
  else print "| stage 1 (BaI) | not run | 7.2 |"
}
function figure6(m) {
  m = there("uniform", 46) ? 46 : 16
  head("Figure 6: schedules, " m " M tokens", "paper: mean of three")
  line("exponential", "progressive", m, "33.5"); line("degree-uniform", "degree-uniform", m, "close to it"); line("uniform", "uniform", m, "36.9"); line("logarithmic", "logarithmic", m, "poor")
  print ""
  claim("exponential ahead of degree-uniform, by little", "progressive", "degree-uniform", m)
  claim("exponential ahead of uniform (by 10 %)", "progressive", "uniform", m)
  claim("exponential ahead of logarithmic", "progressive", "logarithmic", m)
}
function figure2() {
  print "\n**Figure 2: bits a weight, without training**\n"
  print "`bench/tables/figure2.sh` draws it. One bit, from the lines of `methods.sh`: perplexity on valid.txt, on WikiText-2; the paper has a first loss above 10.\n"
  print "| method | bits from bytes | valid.txt | WikiText-2 | loss |\n| --- | ---: | ---: | ---: | ---: |"
  if (post("full precision")) printf "| full precision (the file's 4-bit blocks) | %.4f | %.1f | %.1f | %.2f |\n", post_bits, post_valid, post_test, log(post_valid)
  if (post("rtn")) printf "| signs | %.4f | %.0f | %.0f | %.2f |\n", post_bits, post_valid, post_test, log(post_valid)
  if (post("gptq")) printf "| GPTQ | %.4f | %.0f | %.0f | %.2f |\n", post_bits, post_valid, post_test, log(post_valid)
}
function table6(   i, n, method, row) {
  print "\n**Table 6: methods after training against training**\n\n| | bits from bytes | mix | WikiText-2 |\n| --- | ---: | ---: | ---: |"
  n = split("billm arb arb-x arb-rc pb-llm", method, " ")
  for (i = 1; i <= n; ++i)
    if (post(method[i])) printf "| %s | %.2f | %.0f | %.0f |\n", method[i], post_bits, post_valid, post_test
    else printf "| %s | not run | | |\n", method[i]
  trained("vanilla, trained", "vanilla", 46); trained("progressive, trained", "progressive", 46)
  if (post("arb-rc") && there("progressive", 46))
    printf "\n- training ahead of BiLLM and ARB-LLM: **%s**: the best of them has %.0f times the perplexity of progressive on WikiText-2, at %.1f bits of its file.\n", (post_test > mean("progressive" SUBSEP 46, "wikitext2") ? "agrees" : "differs"), post_test / mean("progressive" SUBSEP 46, "wikitext2"), post_bits
  else print "\n- training ahead of BiLLM and ARB-LLM: not run yet."
}
function trained(label, name_, m,   row) {
  row = name_ SUBSEP m
  if (row in known) printf "| %s, %d M | %.4f | %.1f | %.1f |\n", label, m, bits[chosen(row)], mean(row, "mix"), mean(row, "wikitext2")
  else printf "| %s, %d M | | not run | |\n", label, m
}
function columns() {
  print "\n**Tables 2 and 7: the columns**\n\nmix stands in C4's place. *lead kept* is the share of full precision's lead over guessing, mean of the seven tasks.\n"
  print "| | WikiText-2 | mix | PTB | BoolQ | PIQA | HellaSwag | WinoGrande | ARC-e | ARC-c | OBQA | mean | lead kept |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
  column("full precision", "full-precision", 0); column("both stages, 46 M", "stage-1", 46); column("vanilla, 46 M", "vanilla", 46); column("EDE, 46 M", "ede", 46); column("progressive, 46 M", "progressive", 46)
  column("strong, 46 M", "strong", 46); column("strong, 92 M", "strong", 92); column("strong, 140 M", "strong", 140)
  print "| paper: full precision, SmolLM-135M | 17.6 | 22.1 | | | | | | | | | | |\n| paper: BinaryLLM, 20 B | 26.8 | 28.1 | 51.1 | | | | | | | | | |"
}
# Of the rate that the perplexities are of, the mean over the seeds that answered.
function has_answers(row) { return row in known && chosen(row) in answered }
function answers(row, task) { return score[chosen(row), task] / answered[chosen(row)] }
function tasks_of(row,   i, n, task, cells) {
  if (!has_answers(row)) return " not run | | | | | | | | |"
  n = split(all_tasks " average", task, " ")
  for (i = 1; i <= n; ++i) cells = cells sprintf(" %.3f |", answers(row, task[i]))
  return cells " " kept(row) " |"
}
function kept(row,   guess, full) {
  guess = (0.5 + 0.5 + 0.25 + 0.5 + 0.25 + 0.25 + 0.25) / 7; full = "full-precision" SUBSEP 0
  if (!has_answers(full) || answers(full, "average") <= guess) return "-"
  return sprintf("%.2f", (answers(row, "average") - guess) / (answers(full, "average") - guess))
}
function column(label, name_, m,   row) {
  row = name_ SUBSEP m
  if (row in known) printf "| %s | %s | %s | %s |%s\n", label, cell(row, "wikitext2"), cell(row, "mix"), cell(row, "ptb"), tasks_of(row)
  else printf "| %s | not run | | |%s\n", label, tasks_of(row)
}
# All rows of a budget, best first.
function levers(   budgets, n, i, j, b, seen, row, sorted, count_, key, sort_command) {
  for (i = 1; i <= rows; ++i) if (millions[i] > 0 && !(millions[i] in seen)) { seen[millions[i]] = 1; budgets[++n] = millions[i] }
  for (i = 1; i <= n; ++i) for (j = i + 1; j <= n; ++j) if (budgets[j] < budgets[i]) { b = budgets[i]; budgets[i] = budgets[j]; budgets[j] = b }
  for (b = 1; b <= n; ++b) {
    printf "\n**One lever at a time, %d M tokens**\n\n| | rate | seeds | mix | WikiText-2 | PTB | bits | seconds | flags |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n", budgets[b]
    sort_command = "sort -g | cut -f 2-"
    for (i = 1; i <= rows; ++i) if (millions[i] == budgets[b]) {
      row = name[i] SUBSEP millions[i]
      printf "%f\t| %s | %g | %d | %s | %s | %s | %.4f | %.0f | `%s` |\n", mean(row, "mix"), name[i], best[row], count[chosen(row)], cell(row, "mix"), cell(row, "wikitext2"), cell(row, "ptb"), bits[chosen(row)], seconds[chosen(row)] / count[chosen(row)], flags[chosen(row)] | sort_command
    }
    close(sort_command)
  }
}
# What a budget buys, and where that leads: loss(D) = E + A D^-b by least squares in logarithms, with two guesses of E
# between which the truth should lie: none, and the loss of full precision as it came.
function cost(   i, row, n) {
  print "\n**Budget and perplexity**\n\n| strong | tokens | GPU minutes | mix | WikiText-2 | PTB |\n| --- | ---: | ---: | ---: | ---: | ---: |"
  for (i = 1; i <= rows; ++i) if (name[i] == "strong") {
    row = name[i] SUBSEP millions[i]; ++n; budget[n] = millions[i]
    printf "| | %g M | %.1f | %s | %s | %s |\n", millions[i], seconds[chosen(row)] / count[chosen(row)] / 60, cell(row, "mix"), cell(row, "wikitext2"), cell(row, "ptb")
  }
  if (n < 3) { printf "\nA fit wants three budgets of the row `strong`; there are %d.\n", n; return }
  printf "\n| fit | mix at 1 B | WikiText-2 at 1 B |\n| --- | ---: | ---: |\n"
  printf "| loss = A D^-b | %s | %s |\n", predicted(n, "mix", 0), predicted(n, "wikitext2", 0)
  printf "| loss = E + A D^-b, E of full precision | %s | %s |\n", predicted(n, "mix", floor_of("mix")), predicted(n, "wikitext2", floor_of("wikitext2"))
}
function floor_of(what,   row) { row = "full-precision" SUBSEP 0; return row in known ? log(mean(row, what)) : -1 }
function predicted(n, what, e,   i, x, y, sx, sy, sxx, sxy, b, a) {
  if (e < 0) return "not run"
  for (i = 1; i <= n; ++i) {
    y = log(mean("strong" SUBSEP budget[i], what)) - e; if (y <= 0) return "-"
    x = log(budget[i]); y = log(y); sx += x; sy += y; sxx += x * x; sxy += x * y
  }
  b = (n * sxy - sx * sy) / (n * sxx - sx * sx); a = (sy - b * sx) / n
  return sprintf("%.1f (b = %.3f)", exp(e + exp(a + b * log(1000))), -b)
}
END {
  n = split(tables, wanted, " ")
  for (i_ = 1; i_ <= n; ++i_) {
    t = wanted[i_]
    if (t == "table4") table4(); else if (t == "table5") table5(); else if (t == "table9") table9(); else if (t == "figure5") figure5()
    else if (t == "figure6") figure6(); else if (t == "figure2") figure2(); else if (t == "table6") table6(); else if (t == "columns") columns()
    else if (t == "levers") levers(); else if (t == "cost") cost()
    else { printf "real_tables.sh: no table %s\n", t > "/dev/stderr"; exit 1 }
  }
}
AWK
