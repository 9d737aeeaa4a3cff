"""`rclone serve s3` over a folder: a second S3 server, made by others than the first. Needs rclone 1.65 or newer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from .process import Child, ChildServer, start_on_free_port
from .s3_versitygw import REGION, answers


@cache
def program() -> Path | None:
    """RCLONE, that of tests/requirements.txt, or one on the PATH; None: none serves S3."""
    candidates = [os.environ.get("RCLONE"), str(Path(sys.executable).parent / "rclone"), shutil.which("rclone")]
    for candidate in filter(None, candidates):
        if Path(candidate).exists():
            done = subprocess.run([candidate, "serve", "s3", "--help"], capture_output=True, text=True, check=False)
            if "--auth-key" in done.stdout:
                return Path(candidate)
    return None


class RcloneS3(ChildServer):
    """A server whose buckets are the folders of `data`."""

    access_key = "rclone-test"
    secret_key = "made-up-for-this-test-alone"

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.data.mkdir(parents=True)
        server = program()
        assert server, "no rclone that serves S3"

        def make(port: int) -> Child:
            argv: list[str | Path] = [server, "serve", "s3", "--addr", f"127.0.0.1:{port}", self.data]
            # By the environment, where rclone reads CSV: an argument would show in lists of processes.
            keys = f'"{self.access_key},{self.secret_key}"'
            env = {**os.environ, "RCLONE_AUTH_KEY": keys, "RCLONE_CONFIG": os.devnull}
            return Child(argv, directory / "log", env=env)

        self.child, self.port = start_on_free_port(make, answers)

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.port}",
            "AWS_REGION": REGION,
        }

    def make_bucket(self, name: str) -> Path:
        bucket = self.data / name
        bucket.mkdir()
        return bucket
