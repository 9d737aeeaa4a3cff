"""moto's S3: keeps every key as it came ("//", "/a", "..") and checks neither signatures nor checksums.
(Without the extra s3crc32c it gives CRC-32 values as CRC-32C.)

As a program: python -m servers.s3_moto --directory DIR: prints "port N" and serves until its standard input ends.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from .process import Child, ChildServer, serve, start_on_free_port
from .s3_versitygw import REGION, answers


def s3_client(endpoint_url: str, access_key: str, secret_key: str) -> Any:
    """boto3's, which comes with moto; it takes keys as they are."""
    return import_module("boto3").client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=import_module("botocore.config").Config(s3={"addressing_style": "path"}),
    )


class Moto(ChildServer):
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

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_REGION": REGION,
        }

    def client(self) -> Any:
        return s3_client(self.endpoint_url, self.access_key, self.secret_key)

    def make_bucket(self, name: str) -> str:
        self.client().create_bucket(Bucket=name)
        return name

    def open_to_all(self, bucket: str) -> None:
        """Requests without a signature may do anything."""
        names = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        rule = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": names}
        policy = {"Version": "2012-10-17", "Statement": [rule]}
        self.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client().put_object(Bucket=bucket, Key=key, Body=content)

    def objects(self, bucket: str) -> dict[str, bytes]:
        client = self.client()
        listed = client.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {item["Key"]: client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in listed}


def main() -> None:
    parser = argparse.ArgumentParser(prog="s3_moto")
    parser.add_argument("--directory", type=Path, required=True)
    serve(Moto(parser.parse_args().directory))


if __name__ == "__main__":
    main()
