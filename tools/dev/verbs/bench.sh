# measure against rclone, lftp, scp and raw ssh pipes ("./dev bench --help" lists cases and options)
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test bench
bash tools/dev/verbs/build.sh checkvalve delay_proxy
exec "$(test_python)" bench/run.py "$@"
