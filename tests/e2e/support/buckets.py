"""Buckets of versitygw, which are folders."""

from __future__ import annotations

from pathlib import Path

from e2e.support.trees import contents

OWN_FOLDER = ".sgwtmp"  # versitygw's, in each bucket


def can_be_a_key(name: bytes) -> bool:
    """On versitygw: keys are UTF-8, and its listings can't show the control characters that XML can't hold."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return b"\x1b" not in name


def objects(bucket: Path) -> dict[bytes, bytes]:
    """Without versitygw's own folder."""
    return {name: content for name, content in contents(bucket).items() if not name.startswith(OWN_FOLDER.encode())}
