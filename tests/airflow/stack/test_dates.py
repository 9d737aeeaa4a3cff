"""Three dates by catchup; then what a rerun of a closed folder does."""

from __future__ import annotations

from airflow_stack.client import AirflowClient, wait_for
from airflow_stack.sample import DATES
from airflow_stack.stack import Stack

from .support import Processes

FINISH = "copy.finish"


def copied(client: AirflowClient, run_id: str) -> tuple[int, int]:
    """Files that the run's plan held, and files that were up to date."""
    value = client.xcom("dates", run_id, FINISH, "return_value")["value"]
    assert value["files_failed"] == 0
    return value["files_copied"], value["files_skipped"]


def texts(site: Processes, date: str) -> dict[str, str]:
    """What the DAG selects."""
    return {path: digest for path, digest in site.digests("source", f"source/{date}").items() if path.endswith(".txt")}


def rerun(client: AirflowClient, run_id: str) -> tuple[int, int]:
    client.clear("dates", run_id)
    assert client.wait_for_run("dates", run_id, 120) == "success"
    return copied(client, run_id)


def test_three_dates_and_reruns(stack: Stack, site: Processes, client: AirflowClient) -> None:
    client.set_paused("dates", False)

    def runs() -> dict[str, str]:
        found = {run["logical_date"][:10]: run for run in client.runs("dates") if run["state"] in ("success", "failed")}
        return {date: run["dag_run_id"] for date, run in found.items()} if set(found) == set(DATES) else {}

    by_date = wait_for(runs, 180, "three runs")
    assert {run["state"] for run in client.runs("dates")} == {"success"}
    for date in DATES:
        expected = texts(site, date)
        assert expected
        assert site.digests("target", f"target/{date}") == expected
        assert copied(client, by_date[date]) == (len(expected), 0)

    run_id = by_date[DATES[0]]
    source, target = (root / name / DATES[0] for root, name in
                      ((stack.source_root, "source"), (stack.target_root, "target")))  # fmt: skip
    before = site.published(f"target/{DATES[0]}")
    assert rerun(client, run_id) == (0, len(before))
    assert site.published(f"target/{DATES[0]}") == before

    (source / "empty.txt").unlink()
    (source / "all.txt").write_bytes(b"changed")
    (source / "north" / "late.txt").write_bytes(b"new")
    files = len(texts(site, DATES[0]))
    assert rerun(client, run_id) == (2, files - 2)
    assert (target / "empty.txt").exists()
    assert (target / "all.txt").read_bytes() == b"changed"
    assert (target / "north" / "late.txt").read_bytes() == b"new"

    events = client.get("/assets/events", limit=100)["asset_events"]
    assert {event["extra"]["files_copied"] for event in events} >= {0, 2}
