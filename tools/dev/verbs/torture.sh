# break runs in every way and count what was lost: --minutes N, --only NAME, --seed S (40 minutes on two cores)
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test torture
bash tools/dev/verbs/build.sh checkvalve
"$(test_python)" -m pip install --quiet --disable-pip-version-check -r tests/torture/requirements.txt ||
  fail "pip could not install tests/torture/requirements.txt; the messages above say why"
PYTHONPATH=tests exec "$(test_python)" -m torture "$@"
