# run the end-to-end tests against real OpenSSH servers (arguments go to pytest)
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test
bash tools/dev/verbs/build.sh checkvalve delay_proxy
exec "$(test_python)" -m pytest tests/e2e "$@"
