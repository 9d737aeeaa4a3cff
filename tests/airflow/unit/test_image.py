"""The image has the libraries that the program needs: whoever adds one adds its package to tools/packages.txt."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from servers.s3_versitygw import VERSION as VERSITYGW

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "build/checkvalve"
OF_EVERY_DEBIAN = {"libc6", "libgcc-s1", "libstdc++6"}


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def package_of(library: str) -> str:
    """Debian's package of the file; dpkg knows it by its place before or after the merge of /lib into /usr/lib."""
    for path in (library, f"/usr{library}", library.removeprefix("/usr")):
        found = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.split(":", 1)[0]
    raise AssertionError(f"{library} is of no package")


def test_the_image_has_the_libraries_of_the_program() -> None:
    groups = dict(line.split(": ", 1) for line in (ROOT / "tools/packages.txt").read_text().splitlines()[1:])
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", str(PROGRAM))))
    places = dict(re.findall(r"^\s*(\S+) => (\S+)", output("ldd", str(PROGRAM)), re.MULTILINE))
    packages = {package_of(places[name]) for name in needed if name in places}
    assert len(packages) > 10
    assert packages - OF_EVERY_DEBIAN <= set(groups["runtime"].split())


def test_the_image_installs_those_packages() -> None:
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    for group in ("build", "runtime"):
        assert f"$(sed -n 's/^{group}: *//p' /tmp/packages.txt)" in dockerfile


def test_the_image_has_the_s3_server_of_the_other_tests() -> None:
    assert f"versitygw@{VERSITYGW}\n" in (ROOT / "deploy/Dockerfile").read_text()
