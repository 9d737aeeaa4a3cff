# break runs in every way and count what was lost: --minutes N, --only NAME, --seed S (40 minutes on two cores)
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test torture
bash tools/dev/verbs/build.sh checkvalve
PYTHONPATH=tests exec "$(test_python)" -m torture "$@"
