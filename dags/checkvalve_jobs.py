"""Every job of the configs in jobs/ becomes a DAG."""

from checkvalve.airflow import dags_from_config

# Airflow looks for the words "airflow" and "dag" in a file before it reads it.
globals().update(dags_from_config("../jobs/*.toml"))
