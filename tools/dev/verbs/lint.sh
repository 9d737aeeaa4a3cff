# check format and style: clang-format, clang-tidy, ruff, mypy, words ("fix" formats; "quick" skips clang-tidy)
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test lint
mapfile -d '' -t cpp < <(git ls-files -z '*.h' '*.cc')
mapfile -d '' -t units < <(git ls-files -z 'src/*.cc')
python="$(test_python)"
failed=()

if [[ "${1:-}" == fix ]]; then
  clang-format-19 -i "${cpp[@]}"
  "$python" -m ruff format tests bench tools python
  "$python" -m ruff check --fix tests bench tools python
fi
clang-format-19 --dry-run --Werror "${cpp[@]}" || failed+=(clang-format)
"$python" -m ruff check tests bench tools python || failed+=(ruff)
"$python" -m mypy --config-file tests/mypy.ini || failed+=(mypy)
bash tools/prose/check.sh || failed+=(words)
if [[ "${1:-}" != quick ]]; then
  mkdir -p build
  configure_tree build
  build_tree build all_verify_interface_header_sets || failed+=("headers that do not compile alone")
  printf '%s\0' "${units[@]}" | xargs -0 -n 4 -P "$(jobs_that_fit)" clang-tidy-19 -p build --quiet || failed+=(clang-tidy)
fi
((${#failed[@]} == 0)) || fail "lint failed: ${failed[*]}"
