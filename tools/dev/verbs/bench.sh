# measure against rclone, lftp, scp and raw ssh pipes; "./dev bench transforms" or "s3" for those ("--help" after each)
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test bench
bash tools/dev/verbs/build.sh checkvalve delay_proxy
case ${1:-} in
  transforms | s3) script=$1; shift ;;
  *) script=run ;;
esac
exec "$(test_python)" "bench/$script.py" "$@"
