"""moto's S3: keeps every key as it came ("//", "/a", "..") and checks neither signatures nor checksums.

As a program: python -m servers.s3_moto --directory DIR: prints "port N" and serves until its standard input ends.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .process import Child, start_on_free_port
from .s3_versitygw import REGION, answers


class Moto:
    """A server whose buckets live in its memory."""

    access_key = "any"
    secret_key = "any"

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)

        def make(port: int) -> Child:
            argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
            return Child(argv, directory / "log", env={**os.environ, "AWS_DEFAULT_REGION": REGION})

        self.child, self.port = start_on_free_port(make, answers)

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.child.stop()

    def __enter__(self) -> Moto:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="s3_moto")
    parser.add_argument("--directory", type=Path, required=True)
    with Moto(parser.parse_args().directory) as server:
        print(f"port {server.port}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
