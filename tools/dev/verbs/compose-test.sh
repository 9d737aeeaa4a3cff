# run the container stack as shipped and its scenarios in it; root, installs Docker; "postgres" adds the overlay
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh compose airflow
exec bash tests/compose/run.sh "$@"
