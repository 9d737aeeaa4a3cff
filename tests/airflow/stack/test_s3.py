"""The shipped DAGs between SFTP and a real S3 server, with a transform in each direction."""

from __future__ import annotations

import gzip

from airflow_stack.client import AirflowClient
from airflow_stack.sample import DATES
from airflow_stack.stack import BUCKET, Stack

from .support import published, tree

DATE = DATES[1]


def run(client: AirflowClient, dag_id: str, group: str) -> tuple[str, int]:
    """Runs a DAG for the date; the run's id, and the files that it copied."""
    run_id = client.trigger(dag_id, f"{DATE}T00:00:00Z")
    assert client.wait_for_run(dag_id, run_id, 120) == "success"
    return run_id, copied(client, dag_id, run_id, group)


def copied(client: AirflowClient, dag_id: str, run_id: str, group: str) -> int:
    value = client.xcom(dag_id, run_id, f"{group}.finish", "return_value")["value"]
    assert value["files_failed"] == 0
    return int(value["files_copied"])


def test_to_s3_and_back(stack: Stack, client: AirflowClient) -> None:
    assert stack.s3_server
    source = stack.source_root / "source" / DATE
    names = {str(path.relative_to(source)) for path in source.rglob("*.txt")}
    archive = stack.s3_server.data / BUCKET / "archive" / DATE
    run_id, files = run(client, "checkvalve_sftp_to_s3", "archive_day")
    assert files == len(names)
    assert {str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file()} == {
        f"{name}.gz" for name in names
    }
    for name in names:
        assert gzip.decompress((archive / f"{name}.gz").read_bytes()) == (source / name).read_bytes()

    before = published(archive)
    client.clear("checkvalve_sftp_to_s3", run_id)
    assert client.wait_for_run("checkvalve_sftp_to_s3", run_id, 120) == "success"
    assert copied(client, "checkvalve_sftp_to_s3", run_id, "archive_day") == 0
    assert published(archive) == before

    back_id, files = run(client, "checkvalve_s3_to_sftp", "restore_day")
    assert files == len(names)
    assert tree(stack.target_root / "restored" / DATE) == tree(source, "*.txt")

    secret = stack.s3_server.secret_key
    for dag_id, group, seen in (
        ("checkvalve_sftp_to_s3", "archive_day", run_id),
        ("checkvalve_s3_to_sftp", "restore_day", back_id),
    ):
        assert secret not in client.log(dag_id, seen, f"{group}.copy", map_index=0)
        assert secret not in str(client.xcoms(dag_id, seen))
