"""A fast part of ./dev torture: a few rounds of its scenarios, with a fixed seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from torture.arena import Servers
from torture.report import Result
from torture.scenarios import SCENARIOS
from torture.session import Session, Unavailable

SEED = 17
# Of the full run's rounds. What is not here takes too long for what few rounds can find.
SHARES = {
    "sftp-steps": 0.04,
    "local-steps": 0.05,
    "s3-steps": 0.1,
    "random-kills": 0.03,
    "wire": 0.03,
    "full-disk": 0.34,
    "changing-source": 0.08,
    "hostile-names": 0.15,
    "planted-links": 1.0,
    "state": 0.1,
    "workers": 0.04,
    "secrets": 0.14,
}


@pytest.fixture(scope="module")
def torture_servers(scratch: Path) -> Iterator[Servers]:
    place = scratch / "torture"
    place.mkdir()
    place.chmod(0o755)
    with Servers(place) as servers:
        yield servers


@pytest.mark.parametrize("name", SHARES)
def test_all_counts_are_zero(torture_servers: Servers, name: str) -> None:
    session = Session(torture_servers, torture_servers.place, SEED, SHARES[name])
    try:
        figures = SCENARIOS[name](session)
    except Unavailable as reason:
        pytest.skip(str(reason))
    result = Result(name, figures, session.findings, 0)
    assert not result.new.lines, result.text()
