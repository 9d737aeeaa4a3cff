"""What is measured: the data, how far away the servers are, which tools take part, and what is to be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import data

GIB = 1 << 30
MIB = 1 << 20
PEAK_GOAL_BYTES = 96 * MIB  # of checkvalve at its defaults, in each case

ALL_TOOLS = ("raw", "checkvalve", "rclone", "rclone-tuned", "rclone-new", "rclone-new-tuned", "lftp", "scp")


@dataclass(frozen=True)
class Goal:
    """A bound on checkvalve's time: `factor` times the fastest of `tools`."""

    tools: tuple[str, ...]
    factor: float
    text: str


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    make: Callable[[Path, float], None]  # (root, scale): scale 1 is what is reported
    tools: tuple[str, ...] = ALL_TOOLS
    round_trip_ms: int = 0  # added in front of each server
    synced_before: bool = False  # the tool has done the work once: what is measured is the rerun
    plan_only: bool = False  # list and plan, copy nothing
    goals: tuple[Goal, ...] = ()


def _one_gib(root: Path, scale: float) -> None:
    data.one_file(root, int(GIB * scale))


def _quarter_gib(root: Path, scale: float) -> None:
    data.one_file(root, int(256 * MIB * scale))


def _ten_thousand(root: Path, scale: float) -> None:
    data.small_files(root, int(10_000 * scale), 13_700)


def _one_thousand(root: Path, scale: float) -> None:
    data.small_files(root, int(1_000 * scale), 10_240)


def _hundred_thousand(root: Path, scale: float) -> None:
    data.small_files(root, int(100_000 * scale), 1_024)


def _million(root: Path, scale: float) -> None:
    data.small_files(root, int(1_000_000 * scale), 0, a_folder=1000)


RCLONE = ("rclone", "rclone-tuned", "rclone-new", "rclone-new-tuned")
RCLONE_DEFAULT = ("rclone", "rclone-new")

CASES = (
    Case(
        "one-file",
        "1 GiB, one file",
        _one_gib,
        goals=(Goal(("raw",), 1.1, "within 1.1× of the raw pipe"), Goal(RCLONE, 1.0, "faster than rclone")),
    ),
    Case(
        "small-files",
        "10,000 files, 137 MB",
        _ten_thousand,
        goals=(
            Goal(("raw",), 1.5, "within 1.5× of the tar pipe"),
            Goal(RCLONE, 1 / 6, "6× faster than rclone at its best"),
        ),
    ),
    Case(
        "latency-20ms",
        "1,000 files, 20 ms round trip",
        _one_thousand,
        round_trip_ms=20,
        goals=(
            Goal(("raw",), 2.0, "within 2× of the tar pipe"),
            Goal(RCLONE_DEFAULT, 1 / 20, "20× faster than rclone's default"),
        ),
    ),
    Case(
        "latency-100ms",
        "256 MiB, 100 ms round trip",
        _quarter_gib,
        round_trip_ms=100,
        goals=(
            Goal(("raw",), 1 / 2.5, "2.5× faster than the raw pipe"),
            Goal(RCLONE, 1 / 2.5, "2.5× faster than rclone"),
        ),
    ),
    Case(
        "nothing",
        "nothing to do, 10,000 files",
        _ten_thousand,
        synced_before=True,
        tools=tuple(tool for tool in ALL_TOOLS if tool != "scp"),
        goals=(Goal(RCLONE, 1.0, "no slower than rclone"),),
    ),
    Case(
        "files-100k",
        "100,000 files, planned and copied",
        _hundred_thousand,
        tools=("raw", "checkvalve", "rclone-tuned", "rclone-new-tuned"),
    ),
    Case(
        "plan-1m",
        "1,000,000 files, listed and planned",
        _million,
        plan_only=True,
        tools=("raw", "checkvalve"),
    ),
)
