"""nginx as a reverse proxy that speaks HTTP/2 over TLS, in front of a server that speaks neither."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from pathlib import Path

from servers.process import Child, ChildServer, start_on_free_port
from servers.s3_versitygw import listens

# The request's host and path are passed on unchanged, since an S3 signature covers both; bodies are streamed both ways.
CONFIGURATION = """
daemon off;
master_process off;
error_log stderr warn;
pid "{folder}/pid";
events {{ worker_connections 1024; }}
http {{
  log_format line '$connection $server_protocol $request_method $status';
  access_log "{folder}/access" line;
  client_body_temp_path "{folder}/bodies";
  proxy_temp_path "{folder}/answers";
  fastcgi_temp_path "{folder}/fastcgi";
  uwsgi_temp_path "{folder}/uwsgi";
  scgi_temp_path "{folder}/scgi";
  client_max_body_size 0;
  server {{
    keepalive_requests 100;
    listen 127.0.0.1:{port} ssl http2;
    ssl_certificate "{certificate}";
    ssl_certificate_key "{key}";
    location / {{
      proxy_pass http://127.0.0.1:{behind};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_request_buffering off;
      proxy_buffering off;
    }}
  }}
}}
"""


def program() -> str | None:
    """Debian's is outside of many users' PATH."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Nginx(ChildServer):
    def __init__(self, folder: Path, server_port: int, certificate: Path, key: Path) -> None:
        folder.mkdir(parents=True)
        nginx = program()
        assert nginx is not None
        self.folder = folder

        def make(port: int) -> Child:
            configuration = folder / "nginx.conf"
            configuration.write_text(
                CONFIGURATION.format(folder=folder, port=port, behind=server_port, certificate=certificate, key=key)
            )
            return Child([nginx, "-p", folder, "-c", configuration, "-e", "stderr"], folder / "log")

        self.child, self.port = start_on_free_port(make, listens)

    @property
    def endpoint_url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def requests(self) -> Counter[tuple[str, str]]:
        """How many requests came by each protocol and method, and were answered with success."""
        lines = (line.split() for line in (self.folder / "access").read_text().splitlines())
        return Counter((protocol, method) for _, protocol, method, status in lines if re.match("2..$", status))

    def connections(self) -> int:
        return len({line.split()[0] for line in (self.folder / "access").read_text().splitlines()})
