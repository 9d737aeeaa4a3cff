"""Memory depends on the budget, not on the size or the count of files."""

from __future__ import annotations

from pathlib import Path

from e2e.support.pair import Pair
from e2e.support.program import Running
from e2e.support.trees import write_file

LIMIT_BYTES = 96 << 20


def high_water_bytes(run: Running) -> int:
    """VmHWM, read again with each event until the process is gone: the last reading is close to the peak."""
    peak = 0
    for _ in run.next_events():
        try:
            status = Path(f"/proc/{run.pid}/status").read_text()
        except OSError:
            break
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                peak = max(peak, int(line.split()[1]) * 1024)
    return peak


def assert_bounded(pair: Pair) -> None:
    run = pair.start_sync()
    seen = high_water_bytes(run)
    reported = run.finish().expect(0).events[-1]["peak_rss_bytes"]
    assert 0 < seen < LIMIT_BYTES
    assert reported < LIMIT_BYTES
    # A process keeps its parent's peak through exec: the program must report its own, not that of the tests.
    assert abs(reported - seen) < 16 << 20


def test_file_of_512_mib(plain_pair: Pair) -> None:
    with (plain_pair.source / "large.bin").open("wb") as file:
        block = bytes(range(256)) * 4096
        for _ in range(512):
            file.write(block)
    assert_bounded(plain_pair)
    assert (plain_pair.target / "large.bin").stat().st_size == 512 << 20


def test_20000_files(plain_pair: Pair) -> None:
    for number in range(20_000):
        write_file(plain_pair.source / f"{number % 100:02}" / f"{number:05}.txt", b"x")
    assert_bounded(plain_pair)
