"""A DAG that the OpenLineage provider reports; only where that provider is installed."""

from datetime import datetime, timezone

from airflow.providers.openlineage.utils.selective_enable import enable_lineage
from airflow.sdk import DAG
from checkvalve import JobOptions
from checkvalve.airflow import checkvalve_task_group

with DAG("observed", schedule=None, start_date=datetime(2024, 3, 1, tzinfo=timezone.utc)) as observed:
    checkvalve_task_group(
        "copy",
        options=JobOptions(batch_files=20),
        source_conn_id="checkvalve_source",
        source_path="{{ dag_run.conf['folder'] }}",
        target_conn_id="checkvalve_target",
        target_path="{{ dag_run.conf['folder'] }}",
    )
enable_lineage(observed)
