"""The words that tools/prose/check.sh finds, and those that it lets through."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.quick


def findings(text: str, directory: Path) -> list[str]:
    """What is found, as "wrong ==> right"."""
    file = directory / "page.md"
    file.write_text(text)
    done = subprocess.run(
        [ROOT / "tools/prose/check.sh", file],
        env={"PATH": "/usr/bin:/bin", "CODESPELL": str(Path(sys.executable).parent / "codespell"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (65 if done.stdout else 0), done.stderr
    return [line.split(": ", 1)[1] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("The server is told a name.", ["told"], id="a word"),
        pytest.param("It GOES ON after that.", ["goes on"], id="a phrase, in capitals"),
        pytest.param("// goes on // tells of it", ["goes on", "tells of"], id="two in a line, the longest phrase each"),
        pytest.param("a recieved file", ["recieved"], id="a misspelling"),
        pytest.param("untold riches, bytes_told", [], id="only whole words"),
        pytest.param("There is no file.", [], id="what only begins like a phrase"),
        pytest.param("as he told us  # codespell:ignore", [], id="an exception"),
    ],
)
def test_findings(text: str, found: list[str], tmp_path: Path) -> None:
    assert [line.split(" ==> ")[0].lower() for line in findings(text, tmp_path)] == found
