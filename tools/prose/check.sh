#!/usr/bin/env bash
# Reports words and phrases of tools/prose/words.txt, and common misspellings, in code, documentation and messages; in what
# users read, those of words_of_product.txt too. Why codespell: docs/adr/0012-prose-linter.md. Skipped: the files of
# skip.txt, words of allowed.txt, and lines that contain "codespell:ignore". Exit code 65 if there is a finding.
# Arguments name the files to check, all words at once; without any, the repository's own are checked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# codespell looks up one word at a time: each phrase of the list counts as a word, longer ones first. "There is no" is fine.
phrases="$(sed -n 's/^\([^#]* [^>]*\)->.*/\1/p' tools/prose/words.txt | awk '{ print length, $0 }' | sort -rn | cut -d' ' -f2- | paste -sd'|')"
check() {
  "${CODESPELL:-.venv/bin/codespell}" --dictionary tools/prose/words.txt --ignore-words tools/prose/allowed.txt \
    --regex "(?i)\\b(?:there is no|$phrases)\\b|[\\w'’-]+" "$@"
}
tracked() { git ls-files "$@" | grep -vxFf <(grep -v '^#' tools/prose/skip.txt); }

if (($#)); then
  check --dictionary - --dictionary tools/prose/words_of_product.txt "$@"
  exit
fi
product=(src docs python schema dags deploy README.md CHANGELOG.md)
mapfile -t in_product < <(tracked "${product[@]}" | grep -vE '\.(svg|png|lock)$')
mapfile -t others < <(tracked "${product[@]/#/:!}" | grep -E '\.(md|cc|h|py|sh|cmake|toml|yaml|ini|txt)$|^dev$')
code=0
check --dictionary - --dictionary tools/prose/words_of_product.txt "${in_product[@]}" || code=$?
check --dictionary - "${others[@]}" || code=$?
exit "$code"
