# start a whole Airflow as processes on free ports, print its address and login; --demo runs the three dates
source tools/dev/common.sh

groups=(build airflow)
for argument in "$@"; do [[ "$argument" == --s3 ]] && groups+=(test); done # builds the S3 server
bash tools/dev/verbs/setup.sh "${groups[@]}"
bash tools/dev/verbs/build.sh
python="$(bash tools/airflow_stack/environment.sh)"
exec "$python" tools/airflow_stack "$@"
