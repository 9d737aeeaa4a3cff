# measure against rclone, lftp, scp and raw ssh pipes; "airflow": as tasks, against its operators ("--help" lists more)
source tools/dev/common.sh

if [[ "${1:-}" == airflow ]]; then
  shift
  bash tools/dev/verbs/setup.sh build airflow
  bash tools/dev/verbs/build.sh checkvalve
  python="$(bash tools/airflow_stack/environment.sh)"
  exec "$python" bench/airflow_tasks.py "$@"
fi
bash tools/dev/verbs/setup.sh build test bench
bash tools/dev/verbs/build.sh checkvalve delay_proxy
exec "$(test_python)" bench/run.py "$@"
