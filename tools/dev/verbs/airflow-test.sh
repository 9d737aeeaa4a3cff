# run the provider's scenarios on a whole Airflow as processes: dates, kills, clears, failures (about three minutes)
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test airflow
bash tools/dev/verbs/build.sh
exec bash tests/airflow/run.sh stack "$@"
