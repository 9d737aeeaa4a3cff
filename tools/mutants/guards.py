"""The guards that are always taken out first: what a missing test once hid. By text, so that moved lines are found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutant:
    """`old` stands `count` times in the file; its `index`-th place is replaced."""

    file: str
    old: str
    new: str
    what: str
    index: int = 0

    def line(self, root: Path) -> int:
        text = (root / self.file).read_text()
        return text[: self._at(text)].count("\n") + 1

    def applied(self, text: str) -> str:
        at = self._at(text)
        return text[:at] + self.new + text[at + len(self.old) :]

    def _at(self, text: str) -> int:
        at = -1
        for _ in range(self.index + 1):
            at = text.find(self.old, at + 1)
            if at < 0:
                raise ValueError(f"{self.file} does not hold {self.old!r}: the list of guards is out of date")
        return at


GUARDS = (
    Mutant(
        "src/sync/copy_whole.cc",
        "    content.source_after = std::move(whole.after);\n",
        "",
        "the source changed while it was read, files of one chunk",
    ),
    Mutant(
        "src/sync/publish.cc",
        "  if (content.source_after) CV_CHECK(check_unchanged(*content.source_after, expected));\n",
        "",
        "the source changed while it was read, all files",
    ),
    Mutant("src/sync/publish.cc", "  CV_CHECK(open());\n", "", "the lease is still ours, at publishing"),
    Mutant(
        "src/sync/lease_keeper.cc",
        "bool LeaseKeeper::holds() const { return ",
        "bool LeaseKeeper::holds() const { return true || ",
        "the lease's validity as a whole",
    ),
    Mutant(
        "src/backends/sftp/sftp_upload.cc",
        "  if (options.durable && session->has",
        "  if (false && session->has",
        "the fsync before an SFTP file is published",
    ),
    Mutant(
        "src/backends/local/new_file.cc",
        "  if (options.durable && ::fsync",
        "  if (false && ::fsync",
        "the fsync before a local file is published",
    ),
    Mutant(
        "src/backends/sftp/sftp_upload.cc",
        "  if (!closing) co_return closing;\n",
        "",
        "the error of a CLOSE",
    ),
    Mutant(
        "src/sync/sweep.cc",
        "    if (orphan.mtime_ns ? *orphan.mtime_ns / 1'000'000 > newest_ms : older_than.count() > 0) continue;\n",
        "",
        "the age in sweep",
    ),
)
