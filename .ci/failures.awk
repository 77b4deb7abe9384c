# Reads what `go test -json` prints and writes for each test that failed what it said,
# without the conversation that a story adds, and for each package that cannot be
# built what the compiler said. Long lines are cut.
function member(name,   text) {
  if (!match($0, "\"" name "\":\"([^\"\\\\]|\\\\.)*\"")) return ""
  text = substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5)
  gsub(/\\\\/, "\001", text)
  gsub(/\\n/, "", text); gsub(/\\r/, "", text); gsub(/\\t/, "  ", text); gsub(/\\"/, "\"", text)
  gsub(/\\u003c/, "<", text); gsub(/\\u003e/, ">", text); gsub(/\\u0026/, "\\&", text)
  gsub(/\001/, "\\", text)
  return text
}
function add(id, line) {
  if (length(line) > longest) line = substr(line, 1, longest) "..."
  if (++lines[id] <= most) said[id] = said[id] line "\n"
}
BEGIN { longest = 300; most = 80 }
/"Action":"build-output"/ {
  id = member("ImportPath")
  if (!(id in lines)) order[++failed] = id
  add(id, member("Output"))
}
/"Action":"output"/ {
  id = member("Package") " " member("Test"); line = member("Output")
  if (line ~ /--- conversation \(/) over[id] = 1
  if (!(id in over) && line !~ /^ *(=== |--- |PASS|FAIL|ok )/) add(id, line)
}
/"Action":"run"/ { runs[member("Package") " " member("Test")] = member("Package") }
/"Action":"(pass|skip|fail)"/ {
  package = member("Package"); id = package " " member("Test")
  delete runs[id]
  if (/"Action":"fail"/) order[++failed] = id
  if (id == package " ") { # the tests that it died in have no end of their own
    for (id in runs) if (runs[id] == package) { order[++failed] = id; delete runs[id] }
  }
}
END {
  for (i = 1; i <= failed; i++) if (order[i] in said) printf "== %s\n%s", order[i], said[order[i]]
}
