"""CMake finds what the build needs, and names all that is missing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPENDENCIES = (ROOT / "cmake/dependencies.cmake").read_text()


def configure(directory: Path, *options: str) -> str:
    """What CMake prints when it fails, on one line."""
    argv = ["cmake", "-S", str(ROOT), "-B", str(directory), "-G", "Ninja", "-DCMAKE_CXX_COMPILER=clang++-19", *options]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return re.sub(r"\s+", " ", done.stderr)


def test_each_missing_library_is_named_with_its_package(tmp_path: Path) -> None:
    packages = re.findall(r"^ *checkvalve_package\((\S+) (\w+)", DEPENDENCIES, re.MULTILINE)
    modules = re.findall(r"^ *checkvalve_module\((\S+) \w+ (\S+)\)", DEPENDENCIES, re.MULTILINE)
    assert len(packages) >= 8
    assert len(modules) >= 9
    hidden = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for _, name in packages if name != "PkgConfig"]
    error = configure(tmp_path, *hidden, "-DPKG_CONFIG_EXECUTABLE=/bin/false", "-DASIO_INCLUDE_DIR=/nonexistent")
    for debian, name in [*packages, *modules, ("libasio-dev", "Asio")]:
        assert f"{name} (Debian: {debian})" in error


def test_the_debian_packages_are_those_that_setup_installs() -> None:
    installed = (ROOT / "tools/packages.txt").read_text()
    for debian in re.findall(r"^ *checkvalve_(?:package|module)\((\S+)", DEPENDENCIES, re.MULTILINE):
        assert re.search(rf"^(build|test):.* {debian}( |$)", installed, re.MULTILINE), debian


def test_a_family_that_needs_another_one_is_refused_without_it(tmp_path: Path) -> None:
    assert "'records' needs 'text'" in configure(tmp_path, "-DCHECKVALVE_TRANSFORMS=records")
