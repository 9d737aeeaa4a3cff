"""The Airflow cases: what is measured, what is to be reached, and their section of docs/benchmarks.md."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import data
import report

GIB = 1 << 30
OURS = ("checkvalve", "checkvalve_batches")

WAYS = {
    "operator_list": "`SFTPOperator`, list of files",
    "operator_folder": "`SFTPOperator`, directory, concurrency 8",
    "async_hook": "`SFTPHookAsync`, concurrency 8",
    "checkvalve": "**`CheckvalveSyncOperator`**",
    "checkvalve_batches": "**`checkvalve_task_group`**, batches",
}


@dataclass(frozen=True)
class Goal:
    """A bound on our transfer time: at least `factor` times shorter than that of `way`."""

    way: str
    factor: float


@dataclass(frozen=True)
class AirflowCase:
    name: str
    title: str
    make: Callable[[Path, float], None]  # (root, scale): scale 1 is what is reported
    ways: tuple[str, ...]
    goals: tuple[Goal, ...] = ()
    ciphers: str = ""  # that the servers allow; empty: OpenSSH's own, of which each client takes the one it likes best
    dag_goal_seconds: float = 0  # of the whole DAG run; 0: none


def _one_gib(root: Path, scale: float) -> None:
    data.one_file(root, int(GIB * scale))


def _thousand(root: Path, scale: float) -> None:
    data.flat_files(root, int(1_000 * scale), 10 << 10)


def _ten_thousand(root: Path, scale: float) -> None:
    data.small_files(root, int(10_000 * scale), 13_700)


STOCK = ("operator_list", "operator_folder", "async_hook")

CASES = (
    AirflowCase(
        "one-file",
        "1 GiB, one file",
        _one_gib,
        ways=("operator_list", "async_hook", "checkvalve"),
        goals=(Goal("operator_list", 8), Goal("async_hook", 2.5)),
    ),
    AirflowCase(
        "one-file-gcm",
        "1 GiB, one file, servers that allow aes128-gcm only",
        _one_gib,
        ways=("operator_list", "async_hook", "checkvalve"),
        goals=(Goal("operator_list", 8), Goal("async_hook", 2.5)),
        ciphers="aes128-gcm@openssh.com",
    ),
    AirflowCase(
        "thousand-files",
        "1,000 files of 10 KiB",
        _thousand,
        ways=(*STOCK, "checkvalve"),
        goals=(Goal("operator_list", 100), Goal("operator_folder", 5)),
    ),
    AirflowCase(
        "two-workers",
        "10,000 files, 137 MB, in batches over two workers",
        _ten_thousand,
        ways=("checkvalve_batches", "checkvalve"),
        dag_goal_seconds=30,
    ),
)


def machine() -> dict[str, str]:
    packages = {"airflow": "apache-airflow", "sftp": "apache-airflow-providers-sftp", "paramiko": "paramiko"}
    return {**report.machine(), **{name: version(package) for name, package in packages.items()},
            "asyncssh": version("asyncssh")}  # fmt: skip


HEADINGS = ["way", "transfer", "from – to", "time to checkvalve's", "whole DAG", "runs", "peak memory of a task"]


def rows(result: dict[str, Any]) -> list[list[str]]:
    ways = result["ways"]
    ours = next((median(ways[way]["transfer_seconds"]) for way in OURS if way in ways), None)
    return [row(way, figures, ours) for way, figures in ways.items()]


def row(way: str, figures: dict[str, Any], ours: float | None) -> list[str]:
    seconds = figures["transfer_seconds"]
    peak = f"{mib(figures['task_peak_bytes'])} MiB"
    if figures["engine_peak_bytes"]:
        peak += f" + {mib(figures['engine_peak_bytes'])} MiB of its engine"
    return [
        WAYS[way],
        f"{median(seconds):.2f} s",
        f"{min(seconds):.2f} – {max(seconds):.2f}",
        f"{median(seconds) / ours:.1f}×" if ours else "–",
        f"{median(figures['dag_seconds']):.1f} s",
        str(len(seconds)),
        peak,
    ]


def mib(size_bytes: int) -> int:
    return round(size_bytes / (1 << 20))


def text_table(result: dict[str, Any]) -> str:
    lines = [HEADINGS, *([cell.replace("*", "").replace("`", "") for cell in row] for row in rows(result))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )


def goal_lines(case: AirflowCase, result: dict[str, Any]) -> list[str]:
    ways = result["ways"]
    lines = []
    for goal in case.goals:
        if not {goal.way, "checkvalve"} <= ways.keys():
            continue
        factor = median(ways[goal.way]["transfer_seconds"]) / median(ways["checkvalve"]["transfer_seconds"])
        reached = "reached" if factor >= goal.factor else "**not reached**"
        lines.append(f"- {reached}: {goal.factor:g}× faster than {WAYS[goal.way]}; measured: {factor:.1f}×")
    if case.dag_goal_seconds and case.ways[0] in ways:
        seconds = median(ways[case.ways[0]]["dag_seconds"])
        reached = "reached" if seconds < case.dag_goal_seconds else "**not reached**"
        lines.append(f"- {reached}: whole DAG under {case.dag_goal_seconds:g} s; measured: {seconds:.1f} s")
    return lines


def case_section(case: AirflowCase, result: dict[str, Any]) -> list[str]:
    lines = [f"### {case.title}", "", "| " + " | ".join(HEADINGS) + " |", "| --- " * len(HEADINGS) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows(result)]
    return [*lines, "", *goal_lines(case, result), ""]


def section(results_folder: Path) -> list[str]:
    """The lines of the section without its heading; none if nothing was measured."""
    measured = [
        (case, json.loads(path.read_text()))
        for case in CASES
        if (path := results_folder / f"airflow-{case.name}.json").exists()
    ]
    if not measured:
        return []
    about = measured[-1][1]["machine"]
    lines = [
        f"Made by `./dev bench airflow` on {about['date']} ({about['cores']} cores of {about['cpu']}): Airflow "
        f"{about['airflow']}, SFTP provider {about['sftp']}, paramiko {about['paramiko']}, asyncssh "
        f"{about['asyncssh']}, two Celery workers. The servers, the workers, Airflow and the spool directory that the "
        "stock ways need share the machine; each way runs as tasks on the same workers, in turn. *Transfer* is the "
        "time inside the tasks' `execute()`, without Airflow's own start of a task; *whole DAG* is from the trigger "
        "to the run's end. A way that took over 30 s was run once. Unless a case says otherwise the servers allow "
        "OpenSSH's own ciphers, of which each client takes the one that it likes best; the asynchronous hook has no "
        "setting for it. The ways other than checkvalve copy in two steps, do not compare, and write files under "
        "their final names.",
        "",
    ]
    for case, result in measured:
        lines += case_section(case, result)
    return lines


HEADING = "## As tasks of Airflow"


def write(results_folder: Path, page: Path) -> None:
    """Puts the section into the page, in the place of the one before or at its end."""
    if lines := section(results_folder):
        text = page.read_text() if page.exists() else "# Benchmarks\n"
        before, _, rest = text.partition(f"\n{HEADING}\n")
        after = rest.partition("\n## ")
        tail = f"\n## {after[2]}" if after[1] else ""
        body = "\n".join(lines).rstrip()
        page.write_text(f"{before.rstrip()}\n\n{HEADING}\n\n{body}\n{tail}")
