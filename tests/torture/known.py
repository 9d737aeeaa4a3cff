"""Failures that are known: patterns of the oracle's lines, each with what is wrong. They are counted apart."""

from __future__ import annotations

KNOWN = {
    r"^orphan: killed at S3 begin of an upload \(done\)": "no record names an upload whose beginning was not answered",
    r"^lost: slow line, .* sftp": "on a slow line, SFTP requests that wait for their turn count as unanswered",
    r"Apache MINA SSHD.*odd/1[12]/": "the server changes names that are not UTF-8 into others, and says OK",
    r"^(escaped|torn): planted links, local to sftp": "the SFTP target follows links that lead outside",
}
