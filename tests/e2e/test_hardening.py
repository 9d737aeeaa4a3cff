"""What the compiler and the linker put into the program against memory errors (cmake/hardening.cmake), by readelf."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess

import pytest

from e2e.support.program import PROGRAM

pytestmark = pytest.mark.quick

ENDBR64 = b"\xf3\x0f\x1e\xfa"


def readelf(*options: str) -> str:
    program = shutil.which("readelf") or shutil.which("llvm-readelf-19")
    assert program, "readelf is not installed (Debian: binutils)"
    done = subprocess.run([program, "--wide", *options, PROGRAM], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def symbols() -> str:
    names = readelf("--symbols")
    if "__asan_init" in names:
        pytest.skip("a sanitizer takes the place of hardening")
    return names


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        pytest.param(["--file-header"], r"Type:\s+DYN", id="loaded at a random address (PIE)"),
        pytest.param(["--program-headers"], r"GNU_RELRO", id="tables are read-only after start (RELRO)"),
        pytest.param(["--dynamic"], r"BIND_NOW|FLAGS_1.*\bNOW\b", id="all of them (full RELRO)"),
        pytest.param(["--program-headers"], r"GNU_STACK.*\sRW\s", id="stack not executable"),
    ],
)
def test_linked(options: list[str], pattern: str, symbols: str) -> None:
    assert re.search(pattern, readelf(*options))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("__stack_chk_fail", id="stack protector"),
        pytest.param(r"\b__\w+_chk\b", id="_FORTIFY_SOURCE"),
        pytest.param("__glibcxx_assert_fail", id="standard-library assertions"),
    ],
)
def test_checks_are_called(name: str, symbols: str) -> None:
    assert re.search(name, symbols)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="control-flow protection of x86")
def test_functions_are_marked_as_targets_of_indirect_calls(symbols: str) -> None:
    functions = len(re.findall(r"\bFUNC\b.*\s_ZNK?10checkvalve", symbols))
    assert PROGRAM.read_bytes().count(ENDBR64) > max(100, functions // 2)
