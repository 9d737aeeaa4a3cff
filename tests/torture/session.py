"""One run of the torture: its seed, its size and its findings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar

from torture.arena import Servers
from torture.oracle import Findings

Item = TypeVar("Item")
Figures = dict[str, object]


class Unavailable(Exception):
    """What a scenario needs is not there; the text says what."""


@dataclass
class Session:
    servers: Servers
    place: Path
    seed: int
    share: float = 1.0  # of the full run's rounds
    deadline: float = float("inf")  # time.monotonic(): no scenario begins a round after it
    findings: Findings = field(default_factory=Findings)
    cut_short: bool = False

    def random(self, name: str) -> Random:
        """Of a scenario or a round: the same for the same seed and name."""
        return Random(f"{self.seed} {name}")

    def rounds(self, full: int) -> Iterator[int]:
        yield from self.until_late(range(max(1, round(full * self.share))))

    def sample(self, cases: list[Item], random: Random) -> Iterator[Item]:
        """All cases in the full run, in their order; else some."""
        count = max(1, round(len(cases) * self.share))
        chosen = cases if count >= len(cases) else [cases[at] for at in sorted(random.sample(range(len(cases)), count))]
        yield from self.until_late(chosen)

    def until_late(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            if time.monotonic() > self.deadline:
                self.cut_short = True
                return
            yield item


Scenario = Callable[[Session], Figures]
