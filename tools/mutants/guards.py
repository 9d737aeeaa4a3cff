"""The guards that are always tried: what a missing test once hid. By text, so that moved lines are found."""

from __future__ import annotations

from pathlib import Path

from mutants.mutant import CHOSEN, Mutant

GUARDS = (
    (
        "src/sync/copy_whole.cc",
        "content.source_after = std::move(whole.after);",
        f"if (!{CHOSEN}) content.source_after = std::move(whole.after);",
        "the source changed while it was read, files of one chunk",
    ),
    (
        "src/sync/publish.cc",
        "if (content.source_after) CV_CHECK(check_unchanged(*content.source_after, expected));",
        f"if (content.source_after && !{CHOSEN}) CV_CHECK(check_unchanged(*content.source_after, expected));",
        "the source changed while it was read, all files",
    ),
    (
        "src/sync/publish.cc",
        "  CV_CHECK(open());\n",
        f"  if (!{CHOSEN}) CV_CHECK(open());\n",
        "the lease is still ours, at publishing",
    ),
    (
        "src/sync/lease_keeper.cc",
        "bool LeaseKeeper::holds() const { return ",
        f"bool LeaseKeeper::holds() const {{ return {CHOSEN} || ",
        "the lease's validity as a whole",
    ),
    (
        "src/backends/sftp/sftp_upload.cc",
        "if (options.durable && session->has",
        f"if (!{CHOSEN} && options.durable && session->has",
        "the fsync before an SFTP file is published",
    ),
    (
        "src/backends/local/new_file.cc",
        "if (options.durable && ::fsync",
        f"if (!{CHOSEN} && options.durable && ::fsync",
        "the fsync before a local file is published",
    ),
    (
        "src/backends/sftp/sftp_upload.cc",
        "if (!closing) co_return closing;",
        f"if (!closing && !{CHOSEN}) co_return closing;",
        "the error of a CLOSE",
    ),
    (
        "src/sync/sweep.cc",
        "return orphan.mtime_ns ? ",
        f"return {CHOSEN} ? true : orphan.mtime_ns ? ",
        "the age in sweep",
    ),
)


def guards(root: Path) -> list[Mutant]:
    found = []
    for file, old, new, what in GUARDS:
        text = (root / file).read_text()
        if text.count(old) != 1:
            raise ValueError(f"{file} does not hold {old!r} once: the list of guards is out of date")
        at = text.index(old)
        line = text[: at + len(old) - len(old.lstrip())].count("\n") + 1
        found.append(Mutant(file, line, at, old, new, f"without: {what}"))
    return found
