# measure against rclone, lftp, scp and raw ssh pipes; "airflow", "s3" or "transforms" for those ("--help" after each)
source tools/dev/common.sh

case ${1:-} in
airflow)
  shift
  bash tools/dev/verbs/setup.sh build airflow
  bash tools/dev/verbs/build.sh checkvalve
  python="$(bash tools/airflow_stack/environment.sh)"
  exec "$python" bench/airflow_tasks.py "$@"
  ;;
transforms | s3)
  script=$1
  shift
  ;;
*) script=run ;;
esac
bash tools/dev/verbs/setup.sh build test bench
bash tools/dev/verbs/build.sh checkvalve delay_proxy
exec "$(test_python)" "bench/$script.py" "$@"
