# change guards one at a time and see whether the tests notice: --sample N, --seed S, --again, --list (an hour for 200)
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test
PYTHONPATH=tools:tests exec "$(test_python)" -m mutants "$@"
