# take guards out one at a time and see whether the tests notice: --sample N, --seed S, --list (a minute or two each)
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test
PYTHONPATH=tools:tests exec "$(test_python)" -m mutants "$@"
