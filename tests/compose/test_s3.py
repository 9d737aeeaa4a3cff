"""The shipped DAGs between SFTP and the S3 server of compose.s3.yaml, with a transform in each direction."""

from __future__ import annotations

import pytest
from airflow_stack.sample import DATES

from .containers import S3, Containers, within

DATE = DATES[1]
ARCHIVE = f"/var/lib/s3/data/checkvalve/archive/{DATE}"
UNPACKED_DIGESTS = """
cd "$1" && find . -type f -exec sh -c '
  for file; do printf "%s %s\\n" "$(gzip -dc "$file" | sha256sum)" "$file"; done' sh {} +
"""

pytestmark = pytest.mark.skipif(not S3, reason="run.sh was started with --no-s3")


def run(site: Containers, dag_id: str, group: str) -> tuple[str, int]:
    """Runs a DAG for the date; the run's id, and the files that it copied."""
    run_id = site.client.trigger(dag_id, f"{DATE}T00:00:00Z")
    assert site.client.wait_for_run(dag_id, run_id, 180) == "success"
    return run_id, copied(site, dag_id, run_id, group)


def copied(site: Containers, dag_id: str, run_id: str, group: str) -> int:
    value = site.client.xcom(dag_id, run_id, f"{group}.finish", "return_value")["value"]
    assert value["files_failed"] == 0
    return int(value["files_copied"])


def archived() -> dict[str, str]:
    """SHA-256 of what the bucket's objects unpack to, by key."""
    lines = [line.split(" ", 3) for line in within("s3", UNPACKED_DIGESTS, ARCHIVE).splitlines()]
    return {key: digest for digest, _, _, key in lines}


def test_to_s3_and_back(site: Containers) -> None:
    source = {path: digest for path, digest in site.digests("source", f"source/{DATE}").items() if ".txt" in path}
    assert len(source) > 100
    run_id, files = run(site, "checkvalve_sftp_to_s3", "archive_day")
    assert files == len(source)
    assert archived() == {f"{path}.gz": digest for path, digest in source.items()}

    client = site.client
    before = within("s3", f"find {ARCHIVE} -type f -printf '%i %p\\n' | sort")
    client.clear("checkvalve_sftp_to_s3", run_id)
    assert client.wait_for_run("checkvalve_sftp_to_s3", run_id, 180) == "success"
    assert copied(site, "checkvalve_sftp_to_s3", run_id, "archive_day") == 0
    assert within("s3", f"find {ARCHIVE} -type f -printf '%i %p\\n' | sort") == before

    back_id, files = run(site, "checkvalve_s3_to_sftp", "restore_day")
    assert files == len(source)
    assert site.digests("target", f"restored/{DATE}") == source

    secret = within("s3", "cat /var/lib/checkvalve/s3/secret-key")
    for dag_id, group, seen in (
        ("checkvalve_sftp_to_s3", "archive_day", run_id),
        ("checkvalve_s3_to_sftp", "restore_day", back_id),
    ):
        assert secret not in client.log(dag_id, seen, f"{group}.copy", map_index=0)
        assert secret not in str(client.xcoms(dag_id, seen))
