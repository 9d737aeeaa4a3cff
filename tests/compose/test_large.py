"""10,000 files and one of 1 GiB in one folder, over two workers; batches that take equally long."""

from __future__ import annotations

from airflow_scenarios import balanced, large

from .containers import SERVICES, Containers, containers, docker, within

FILES = 10_000
LARGEST_BYTES = 1 << 30


def test_a_folder_over_two_workers(site: Containers) -> None:
    site.fill("large", FILES, 13_700)
    within("source", f'head -c {LARGEST_BYTES} /dev/zero >"$HOME/large/one.bin"')
    copies = large(site, FILES + 1, LARGEST_BYTES)
    assert len({task["hostname"] for task in copies}) == 2
    for service in SERVICES:
        for name in containers(service):
            assert docker("inspect", "-f", "{{.State.OOMKilled}} {{.RestartCount}}", name).split() == ["false", "0"]


def test_batches_take_equally_long(site: Containers) -> None:
    balanced(site)
