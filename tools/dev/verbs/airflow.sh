# start a whole Airflow as processes on free ports, print its address and login; --demo runs the three dates
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build airflow
bash tools/dev/verbs/build.sh
python="$(bash tools/airflow_stack/environment.sh)"
exec "$python" tools/airflow_stack "$@"
