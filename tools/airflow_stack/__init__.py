"""Airflow with Celery workers on this machine, without Docker: for `./dev airflow` and for the tests."""
