"""10,000 files and one of 1 GiB in one folder, over two workers."""

from __future__ import annotations

from airflow_scenarios import large, seconds

from .containers import SERVICES, Containers, containers, docker, within

FILES = 10_000
LARGEST_BYTES = 1 << 30


def test_a_folder_over_two_workers(site: Containers) -> None:
    site.fill("large", FILES, 13_700)
    within("source", f'head -c {LARGEST_BYTES} /dev/zero >"$HOME/large/one.bin"')
    copies = large(site, FILES + 1, LARGEST_BYTES)
    by_worker: dict[str, float] = {}
    for task in copies:
        by_worker[task["hostname"]] = by_worker.get(task["hostname"], 0) + seconds(task)
    print(by_worker)
    assert len(by_worker) == 2
    assert min(by_worker.values()) > 0.75 * max(by_worker.values())
    for service in SERVICES:
        for name in containers(service):
            assert docker("inspect", "-f", "{{.State.OOMKilled}} {{.RestartCount}}", name).split() == ["false", "0"]
