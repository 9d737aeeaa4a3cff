"""A command that speaks SFTP as an endpoint: a real rclone over its local, crypt and memory remotes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from e2e.support.program import Outcome, Program
from e2e.support.trees import contents, large_file, many_small

pytestmark = pytest.mark.skipif(shutil.which("rclone") is None, reason="rclone is not installed (Debian: rclone)")


def command(remote: str) -> str:
    """As an option. Without rclone's write cache, which would take files and keep them to itself for seconds: they are
    lost if rclone ends meanwhile."""
    return "command=" + json.dumps(["rclone", "serve", "sftp", "--stdio", "--vfs-cache-mode", "off", remote])


@pytest.fixture
def program(place: Path) -> Program:
    obscured = subprocess.run(
        ["rclone", "obscure", "made for this test"], capture_output=True, text=True, check=True
    ).stdout.strip()
    environment = {
        "RCLONE_CONFIG_SAFE_TYPE": "crypt",
        "RCLONE_CONFIG_SAFE_REMOTE": str(place / "encrypted"),
        "RCLONE_CONFIG_SAFE_PASSWORD": obscured,
    }
    return Program(place / "home", ["--state", str(place / "state.db")], environment)


def into(program: Program, source: Path, remote: str) -> Outcome:
    return program.work("sync", str(source), "sftp://rclone/below", "--target-option", command(remote))


def out_of(program: Program, remote: str, target: Path) -> Outcome:
    return program.work("sync", "sftp://rclone/below", str(target), "--source-option", command(remote))


@pytest.fixture
def tree(place: Path) -> Path:
    source = place / "source"
    many_small(source, 200)
    large_file(source / "large.bin", (3 << 20) + 17)
    return source


def test_local_remote(program: Program, place: Path, tree: Path) -> None:
    into(program, tree, f":local:{place}/there").expect(0)
    assert contents(place / "there" / "below") == contents(tree)
    assert into(program, tree, f":local:{place}/there").expect(0).json["bytes_copied"] == 0
    out_of(program, f":local:{place}/there", place / "back").expect(0)
    assert contents(place / "back") == contents(tree)


def test_crypt_remote(program: Program, place: Path, tree: Path) -> None:
    into(program, tree, "safe:").expect(0)
    assert not set(contents(place / "encrypted")) & set(contents(tree))
    out_of(program, "safe:", place / "back").expect(0)
    assert contents(place / "back") == contents(tree)


def test_memory_remote(program: Program, place: Path, tree: Path) -> None:
    """It lives and ends with its process: that all arrived is what rclone answered to the checks of each file."""
    assert into(program, tree, ":memory:bucket").expect(0).json["files_copied"] == 201
