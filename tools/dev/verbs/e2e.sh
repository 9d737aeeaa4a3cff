# run the end-to-end tests against real OpenSSH servers (arguments go to pytest)
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test
bash tools/dev/verbs/build.sh checkvalve delay_proxy
paths=(tests/e2e)
for argument in "$@"; do [[ -e "${argument%%::*}" ]] && paths=(); done
exec "$(test_python)" -m pytest -c tests/pytest.ini --rootdir . "${paths[@]}" "$@"
