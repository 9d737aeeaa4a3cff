"""Failures that are known: patterns of the oracle's lines, each with what is wrong. They are counted apart."""

from __future__ import annotations

KNOWN = {
    r"^(escaped|torn): planted links, local to sftp": "the SFTP target follows links that lead outside",
}
