"""A module beside the DAG files, whose function a chain names."""

from collections.abc import Iterable, Iterator


def numbered(chunks: Iterable[bytes], separator: str) -> Iterator[bytes]:
    """Puts its number before each line."""
    number, rest = 0, b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            number += 1
            yield f"{number}{separator}".encode() + line + b"\n"
    yield rest
