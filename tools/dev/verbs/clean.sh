# remove what the verbs made: build trees, .venv, benchmark tools and results
source tools/dev/common.sh

rm -rf build build-asan build-coverage build-fuzz build-minimal build-mutants build-tsan build-tools .venv .venv-airflow bench/out bench/tools .pytest_cache .mypy_cache .ruff_cache
find tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} +
