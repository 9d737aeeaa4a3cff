# measure against rclone, lftp, scp and raw ssh pipes ("./dev bench --help" lists cases and options; "./dev bench s3": of S3)
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test bench
bash tools/dev/verbs/build.sh checkvalve delay_proxy
if [[ "${1:-}" == s3 ]]; then
  shift
  exec "$(test_python)" bench/s3.py "$@"
fi
exec "$(test_python)" bench/run.py "$@"
