"""Failures that are known: patterns of the oracle's lines, each with what is wrong. They are counted apart."""

from __future__ import annotations

KNOWN = {
    r"^orphan: killed at S3 begin of an upload \(done\)": "no record names an upload whose begin was not answered",
}
