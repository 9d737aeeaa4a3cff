"""From measurements to a table, JSON, docs/benchmarks.md and a plot."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import plot
from cases import CASES, PEAK_GOAL_BYTES, Case
from measure import Measurement

Results = dict[str, list[Measurement]]

TITLES = {
    "raw": "raw `ssh` pipe",
    "checkvalve": "**checkvalve**",
    "rclone": "rclone {version}, default",
    "rclone-tuned": "rclone {version}, tuned",
    "rclone-new": "rclone {version}, default",
    "rclone-new-tuned": "rclone {version}, tuned",
    "lftp": "lftp {version}",
    "scp": "`scp -3`",
}


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    libssh = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libssh-dev"], capture_output=True, check=False)
    return {
        "cpu": model,
        "cores": str(os.cpu_count()),
        "memory": f"{pages / (1 << 30):.0f} GiB",
        "kernel": platform.release(),
        "system": release.get("PRETTY_NAME", "unknown").strip('"'),
        "libssh": libssh.stdout.decode() or "unknown",
        "date": str(date.today()),
    }


def as_json(case: Case, results: Results, versions: dict[str, str]) -> dict[str, Any]:
    return {
        "case": case.name,
        "machine": machine(),
        "tools": {
            name: {
                "version": versions[name],
                "seconds": [round(run.seconds, 4) for run in runs],
                "cpu_seconds": [round(run.cpu_seconds, 3) for run in runs],
                "peak_bytes": [run.peak_bytes for run in runs],
            }
            for name, runs in results.items()
        },
    }


def title(name: str, version: str) -> str:
    return TITLES[name].format(version=version)


def plain_title(name: str, version: str) -> str:
    """Without Markdown."""
    return title(name, version).replace("*", "").replace("`", "")


def rows(result: dict[str, Any]) -> list[list[str]]:
    """A row a tool: name, median, ratio to checkvalve, CPU time, peak memory."""
    ours = result["tools"].get("checkvalve")
    table = []
    for name, tool in result["tools"].items():
        seconds = median(tool["seconds"])
        ratio = f"{seconds / median(ours['seconds']):.2f}×" if ours else "–"
        spread = f"{min(tool['seconds']):.2f} – {max(tool['seconds']):.2f}"
        cpu = f"{median(tool['cpu_seconds']):.1f} s"
        peak = f"{max(tool['peak_bytes']) / (1 << 20):.0f} MiB"
        table.append([title(name, tool["version"]), f"{seconds:.2f} s", spread, ratio, cpu, peak])
    return table


HEADINGS = ["tool", "median", "from – to", "time to checkvalve's", "CPU", "peak memory"]


def text_table(case: Case, results: Results, versions: dict[str, str]) -> str:
    lines = [HEADINGS, *([cell.replace("*", "").replace("`", "") for cell in row]
                         for row in rows(as_json(case, results, versions)))]  # fmt: skip
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )


def goal_lines(case: Case, result: dict[str, Any]) -> list[str]:
    """Each goal with what was measured; a goal whose tools are not installed is omitted."""
    tools = result["tools"]
    if "checkvalve" not in tools:
        return []
    ours = median(tools["checkvalve"]["seconds"])
    lines = []
    for goal in case.goals:
        peers = [median(tools[name]["seconds"]) for name in goal.tools if name in tools]
        if peers:
            best = min(peers)
            measured = f"{ours / best:.2f}× its time" if goal.factor >= 1 else f"{best / ours:.1f}× as fast"
            lines.append(
                f"- {'reached' if ours <= best * goal.factor else '**not reached**'}: {goal.text}; measured: {measured}"
            )
    peak = max(tools["checkvalve"]["peak_bytes"])
    lines.append(f"- {'reached' if peak < PEAK_GOAL_BYTES else '**not reached**'}: peak memory under "
                 f"{PEAK_GOAL_BYTES >> 20} MiB; measured: {peak / (1 << 20):.0f} MiB")  # fmt: skip
    return lines


def case_section(case: Case, result: dict[str, Any]) -> list[str]:
    runs = max(len(tool["seconds"]) for tool in result["tools"].values())
    lines = [f"## {case.title}", "", f"{runs} runs of each, in turn.", "", "| " + " | ".join(HEADINGS) + " |",
             "| --- " * len(HEADINGS) + "|"]  # fmt: skip
    lines += ["| " + " | ".join(row) + " |" for row in rows(result)]
    return [*lines, "", *goal_lines(case, result), ""]


def other_sections(page: Path) -> str:
    """What the page holds of measurements that are not of these cases."""
    sections = page.read_text().split("\n## ")[1:] if page.exists() else []
    own = {case.title for case in CASES}
    return "".join(f"\n## {section.rstrip()}\n" for section in sections if section.partition("\n")[0] not in own)


def write(results_folder: Path, page: Path, picture: Path) -> None:
    """Writes the page and the plot from the JSON of all cases that were measured at full size."""
    measured = [
        (case, json.loads(path.read_text()))
        for case in CASES
        if (path := results_folder / f"{case.name}.json").exists()
    ]
    if not measured:
        return
    about = measured[-1][1]["machine"]
    lines = [
        "# Benchmarks",
        "",
        "Made by `./dev bench` (see `bench/README.md`); do not edit by hand.",
        "",
        f"Measured on {about['date']}: {about['cores']} cores of {about['cpu']}, {about['memory']}, {about['system']}, "
        f"Linux {about['kernel']}, libssh {about['libssh']}. Source and target are two OpenSSH servers on loopback, "
        "files on a RAM disk, login by key, aes128-gcm for all. Both servers and the tool share the cores. Where a "
        "round trip is named, a proxy in front of each server adds it. *Tuned* rclone: 64 transfers and checkers "
        "where there is a round trip and 4 on loopback, where more are slower, and `--sftp-chunk-size 255k "
        "--sftp-concurrency 128 --sftp-disable-hashcheck`; lftp: `mirror --parallel=16` with 128 packets in flight; "
        "checkvalve at its defaults. The raw pipe (`cat`, `tar`, or `find` where nothing moves) "
        "neither compares, checkpoints nor publishes atomically.",
        "",
        "![Median times of all tools; shorter is better](img/benchmarks.svg)",
        "",
    ]
    for case, result in measured:
        lines += case_section(case, result)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines).rstrip() + "\n" + other_sections(page))
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(plot.bars([plot_group(case, result) for case, result in measured]))


def plot_group(case: Case, result: dict[str, Any]) -> plot.Group:
    tools = result["tools"].items()
    bars = [(plain_title(name, tool["version"]), median(tool["seconds"]), name == "checkvalve") for name, tool in tools]
    return plot.Group(case.title, bars)
