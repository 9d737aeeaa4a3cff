"""The package as Airflow sees it: metadata, DAG files, the task group, configs, lazy imports."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from airflow.sdk import DAG, Connection
from checkvalve import JobOptions
from checkvalve.airflow import checkvalve_task_group, dags_from_config
from checkvalve.airflow.dags import JobConfigError
from checkvalve.airflow.provider_info import get_provider_info
from checkvalve.airflow.report import page
from checkvalve.airflow.state import state_of

ROOT = Path(__file__).resolve().parents[3]


def test_entry_points_lead_to_the_provider_and_the_plugin() -> None:
    [info] = [point for point in entry_points(group="apache_airflow_provider") if "checkvalve" in point.value]
    assert info.load()() == get_provider_info()
    [plugin] = [point for point in entry_points(group="airflow.plugins") if point.name == "checkvalve"]
    assert plugin.load().name == "checkvalve"


def test_every_class_that_the_metadata_names_exists() -> None:
    info = get_provider_info()
    for name in [item["hook-class-name"] for item in info["connection-types"]] + info["extra-links"]:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute)
    for group in info["operators"] + info["hooks"]:
        for module in group["python-modules"]:
            importlib.import_module(module)


def test_a_dag_file_does_not_import_what_only_tasks_need() -> None:
    script = (
        "import sys, airflow.sdk\n"
        "from airflow.sdk import DAG, Asset, BaseOperator, TaskGroup\n"
        "before = set(sys.modules)\n"
        "from checkvalve.airflow import checkvalve_task_group, CheckvalveSyncOperator, dags_from_config\n"
        "from checkvalve.airflow import CheckvalvePlanOperator, CheckvalveBatchOperator, CheckvalveFinishOperator\n"
        "print(*sorted(set(sys.modules) - before), sep='\\n')\n"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    modules = set(output.split())
    assert "checkvalve.airflow.task_group" in modules
    forbidden = {"checkvalve.engine", "checkvalve.api", "checkvalve.airflow.hooks.checkvalve", "fastapi", "paramiko"}
    assert not modules & forbidden
    assert len(modules) < 40


def test_the_dag_files_are_read() -> None:
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ModuleNotFoundError:  # Airflow 3.0
        from airflow.models.dagbag import DagBag

    bag = DagBag(dag_folder=str(ROOT / "dags"))
    assert bag.import_errors == {}
    found = bag.dags
    assert set(found) >= {"checkvalve_daily", "checkvalve_single", "checkvalve_per_file", "partner_orders"}
    assert set(found) >= {"checkvalve_sftp_to_s3", "checkvalve_s3_to_sftp"}
    daily = found["checkvalve_daily"]
    assert set(daily.task_ids) == {"copy_day.plan", "copy_day.copy", "copy_day.finish"}
    assert daily.get_task("copy_day.finish").upstream_task_ids == {"copy_day.plan", "copy_day.copy"}
    assert found["partner_orders"].get_task("checkvalve.plan").retries == 4


def group(**parameters: object) -> DAG:
    with DAG("d", schedule=None, default_args={"owner": "me"}) as dag:
        checkvalve_task_group(
            **{"source_conn_id": "s", "source_path": "a", "target_conn_id": "t", "target_path": "b", **parameters}
        )
    return dag


def test_the_strategies() -> None:
    assert set(group(strategy="single").task_ids) == {"checkvalve.sync"}
    assert set(group().task_ids) == {"checkvalve.plan", "checkvalve.copy", "checkvalve.finish"}
    per_file = group(strategy="file", file_limit=7).get_task("checkvalve.plan")
    assert (per_file.options.batch_files, per_file.max_files) == (1, 7)
    with pytest.raises(ValueError, match=r"invalid strategy 'all' .* expected one of batches, single, file"):
        group(strategy="all")
    with pytest.raises(ValueError, match=r"batch_files can be used with strategy='batches' only"):
        group(strategy="single", options=JobOptions(batch_files=3))
    with pytest.raises(TypeError, match=r"batch_files, include of task .*give options=JobOptions"):
        group(batch_files=3, include=["*"])
    with pytest.raises(ValueError, match="invalid on_empty 'explode'"):
        group(on_empty="explode")


def test_tasks_retry_unless_the_dag_says_otherwise() -> None:
    plan = group().get_task("checkvalve.plan")
    assert (plan.retries, plan.owner) == (3, "me")
    assert plan.retry_exponential_backoff
    with DAG("d", schedule=None, default_args={"retries": 7}) as dag:
        checkvalve_task_group(source_conn_id="s", target_conn_id="t")
    assert dag.get_task("checkvalve.plan").retries == 7
    pooled = group(pool="partner", pool_slots=2)
    assert [pooled.get_task(f"checkvalve.{name}").pool for name in ("plan", "finish")] == ["partner", "default_pool"]


def test_thresholds_come_from_a_duration() -> None:
    plan = group(target_seconds=20, rate_bytes=1_000_000, rate_files=10).get_task("checkvalve.plan")
    options = plan.job_options()
    assert (options.batch_files, options.batch_bytes, options.max_batches) == (200, 20_000_000, 1000)
    with pytest.raises(ValueError, match="target_seconds excludes batch_files"):
        group(target_seconds=20, options=JobOptions(batch_files=3))


CONFIG = """
[job.orders]
source = "/in/{date}"
target = "/out/{date}"
[job.by_hand]
source = "/in"
target = "/out"
[airflow]
owner = "data"
retry_delay = "2m"
[airflow.orders]
schedule = "0 6 * * *"
start_date = 2024-03-01
strategy = "single"
pool = "partner"
"""


def test_each_job_of_a_config_is_a_dag(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CONFIG)
    dags = dags_from_config("*.toml", base=tmp_path)
    assert set(dags) == {"orders", "by_hand"}
    assert dags["orders"].start_date == datetime(2024, 3, 1, tzinfo=timezone.utc)
    sync = dags["orders"].get_task("checkvalve.sync")
    assert (sync.owner, sync.pool, sync.retry_delay) == ("data", "partner", timedelta(minutes=2))
    assert (sync.config, sync.job, sync.date) == (str(tmp_path / "a.toml"), "orders", "{{ ds }}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("[airflow.orders]\nschedul = 1", "unknown key 'schedul' in .airflow.orders."),
        ("[airflow.nothing]\nschedule = '@daily'", "has no .job.nothing."),
        ("[airflow.orders]\nretry_delay = 'soon'", "retry_delay: expected seconds or a string like"),
        ("[airflow.orders", "a.toml: "),
    ],
)
def test_a_wrong_config_names_the_place(tmp_path: Path, change: str, message: str) -> None:
    (tmp_path / "a.toml").write_text(f'[job.orders]\nsource = "/a"\ntarget = "/b"\n{change}\n')
    with pytest.raises(JobConfigError, match=message):
        dags_from_config("*.toml", base=tmp_path)


def test_the_state_may_be_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = Connection(
        conn_id="x", conn_type="postgres", host="db", port=6432, login="u r", password="p@ss", schema="s"
    ).get_uri()
    monkeypatch.setenv("AIRFLOW_CONN_SHARED", uri)
    state = state_of("shared")
    assert (state.location, state.password) == ("postgresql://u%20r@db:6432/s", "p@ss")
    assert "p@ss" not in repr(state)
    extra = {"sslmode": "verify-full", "sslrootcert": "/a b.pem", "cursor": "dictcursor"}
    sure = Connection(conn_id="x", conn_type="postgres", host="2001:db8::1", schema="s", extra=json.dumps(extra))
    monkeypatch.setenv("AIRFLOW_CONN_SURE", sure.as_json())
    assert state_of("sure").location == "postgresql://[2001:db8::1]/s?sslmode=verify-full&sslrootcert=%2Fa%20b.pem"
    url = state_of("postgresql://me:p%40ss@db/s")
    assert (url.location, url.password) == ("postgresql://me@db/s", "p@ss")
    assert state_of("/var/lib/state.db").location == "/var/lib/state.db"
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", "mysql://db/s")
    with pytest.raises(ValueError, match="'wrong' of type 'mysql' cannot hold the state"):
        state_of("wrong")
    monkeypatch.setenv("AIRFLOW__CHECKVALVE__STATE", "/a/b.db")
    assert state_of(None).location == "/a/b.db"


def test_the_report_page_escapes_names() -> None:
    report = {
        "plan": "p",
        "files_copied": 1,
        "files_skipped": 0,
        "files_failed": 1,
        "bytes_copied": 5,
        "seconds": 0.5,
        "failures": [{"path": "<script>alert(1)</script>", "kind": "io", "message": "a & b"}],
    }
    html = page("d<ag", "run", [("task", 2, report)])
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "task [2]" in html
