# SPDX-License-Identifier: MIT
# What Doxygen reads in place of a file. Of a header: its first comment is that of the file, and not of the namespace that
# follows; lines of comments that are laid out, such as equations, stay lines. Of a page: headings have the labels that
# GitHub gives them, after the page's path, and links lead there.
function label(path, name) {
  path = tolower(path)
  gsub(/[^a-z0-9]+/, "-", path)
  return path "--" name
}
function slug(title) {  # as GitHub names it
  title = tolower(title)
  gsub(/\]\([^)]*\)/, "", title)
  gsub(/[!-,.\/:-@\[-^`{-~]/, "", title)
  gsub(/ /, "-", title)
  gsub(/[^a-z0-9_-]/, "", title)
  return title
}
function path_of(target,   parts, n, i, kept, depth, path) {  # from the root of the repository
  if (target == "") return file
  n = split(folder target, parts, "/")
  depth = 0
  for (i = 1; i <= n; i++) {
    if (parts[i] == "..") depth--
    else if (parts[i] != "." && parts[i] != "") kept[++depth] = parts[i]
  }
  path = kept[1]
  for (i = 2; i <= depth; i++) path = path "/" kept[i]
  return path
}
function with_references(line,   done, link, target, name) {
  while (match(line, /\]\([^): ]*#[^) ]*\)/)) {
    link = substr(line, RSTART + 2, RLENGTH - 3)
    target = name = link
    sub(/#.*/, "", target)
    sub(/.*#/, "", name)
    gsub(/[^a-z0-9_-]/, "", name)
    done = done substr(line, 1, RSTART + 1) "@ref " label(path_of(target), name) ")"
    line = substr(line, RSTART + RLENGTH)
  }
  return done line
}
function without_commands(text,   parts, n, i) {  # a backslash is one, but in code spans
  n = split(text, parts, "`")
  text = ""
  for (i = 1; i <= n; i++) {
    if (i % 2 == 1) gsub(/[\\@]/, "\\\\&", parts[i])
    text = text (i > 1 ? "`" : "") parts[i]
  }
  return text
}
FNR == 1 {
  file = FILENAME
  root = ENVIRON["PWD"] "/"
  if (index(file, root) == 1) file = substr(file, length(root) + 1)
  folder = file
  if (!sub(/[^\/]*$/, "", folder)) folder = ""
  page = file ~ /[.]md$/
}
!page && FNR == 1 { print "/// @file"; prose = 0; next }
!page && /^ *\/\/\/( |$)/ {
  before = $0
  sub(/\/\/\/.*/, "///", before)
  text = $0
  sub(/^ *\/\/\/ ?/, "", text)
  if (text ~ /^  +[^ ]/ || text ~ /[^ ]  +[^ ]/) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    gsub(/>/, "\\&gt;", text)
    gsub(/[\\_*#@~`|]/, "\\\\&", text)
    gsub(/ /, "\\&nbsp;", text)
    text = (prose ? "<br>" : "") "<code>" text "</code><br>"
    prose = 0
  } else {
    prose = text != ""
    text = without_commands(text)
  }
  print before " " text
  next
}
!page { prose = 0; print; next }
/^```/ {
  inside = !inside
  if (inside) sub(/^```c[+][+]$/, "```cpp")
}
inside { print; next }
/^# / { gsub(/`/, "") }
/^# [0-9]+[.] / { sub(/[.] /, " ") }  # no list
/^##+ / {
  title = $0
  sub(/^#+ +/, "", title)
  name = slug(title)
  if (seen[name]++) name = name "-" (seen[name] - 1)
  print with_references($0) " {#" label(file, name) "}"
  next
}
{ print with_references($0) }
