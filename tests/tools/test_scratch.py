"""The choice of scratch space: which place is taken, and what is said when none will do."""

from __future__ import annotations

from pathlib import Path

import pytest

from scratch import GIB, MIB, Place, ScratchError, candidates, choose, inspect, scratch_directory

pytestmark = pytest.mark.quick

SHM, TMP = Path("/dev/shm"), Path("/tmp")


@pytest.mark.parametrize(
    ("places", "needed_bytes", "chosen"),
    [
        pytest.param([Place(SHM, 8 * GIB), Place(TMP, 8 * GIB)], GIB, SHM, id="the first that has enough"),
        pytest.param([Place(SHM, 64 * MIB), Place(TMP, 8 * GIB)], GIB, TMP, id="a container's RAM disk is too small"),
        pytest.param([Place(SHM, 64 * MIB), Place(TMP, 8 * GIB)], 64 * MIB, SHM, id="exactly enough"),
        pytest.param([Place(SHM, GIB - 1), Place(TMP, GIB)], GIB, TMP, id="a byte too few"),
        pytest.param([Place(SHM, 8 * GIB, "not writable"), Place(TMP, GIB)], GIB, TMP, id="enough, but not usable"),
        pytest.param([Place(SHM, GIB - 1), Place(TMP, 0)], GIB, None, id="none has enough"),
        pytest.param([], 0, None, id="no place"),
    ],
)
def test_choice(places: list[Place], needed_bytes: int, chosen: Path | None) -> None:
    if chosen:
        assert choose(places, needed_bytes).path == chosen
    else:
        with pytest.raises(ScratchError, match=rf"no scratch space with {needed_bytes // MIB} MiB free"):
            choose(places, needed_bytes)


def test_the_error_names_each_place_and_the_way_out() -> None:
    with pytest.raises(ScratchError) as error:
        choose([Place(SHM, 64 * MIB), Place(TMP, obstacle="not writable")], GIB)
    lines = str(error.value).splitlines()
    assert lines[1:3] == ["  /dev/shm: 64 MiB free", "  /tmp: not writable"]
    assert lines[3].startswith("hint: ")
    assert "CHECKVALVE_SCRATCH" in lines[3]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({}, ["/dev/shm", "/tmp", "/var/tmp"], id="nothing set"),
        pytest.param({"TMPDIR": "/scratch"}, ["/dev/shm", "/scratch", "/tmp", "/var/tmp"], id="TMPDIR"),
        pytest.param({"TMPDIR": "/tmp"}, ["/dev/shm", "/tmp", "/var/tmp"], id="TMPDIR that is there already"),
        pytest.param({"TMPDIR": "/a", "CHECKVALVE_SCRATCH": "/b"}, ["/b"], id="CHECKVALVE_SCRATCH and nothing else"),
        pytest.param({"CHECKVALVE_SCRATCH": ""}, ["/dev/shm", "/tmp", "/var/tmp"], id="empty is not set"),
    ],
)
def test_candidates(environment: dict[str, str], expected: list[str]) -> None:
    assert [str(path) for path in candidates(environment)] == expected


@pytest.mark.parametrize(
    ("name", "obstacle"),
    [
        ("missing", "not a directory"),
        ("file", "not a directory"),
        ("closed/inside", "closed to other users"),
        ("deep" * 12, "too long for sockets"),
    ],
)
def test_obstacles(name: str, obstacle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scratch_directory("s ", MIB) as folder:
        monkeypatch.setattr("os.geteuid", lambda: 0)
        (folder / "file").touch()
        (folder / "closed/inside").mkdir(parents=True)
        (folder / "closed").chmod(0o700)
        (folder / ("deep" * 12)).mkdir()
        assert obstacle in inspect(folder / name).obstacle
        assert inspect(folder).free_bytes > 0


def test_a_relative_path_is_refused() -> None:
    assert inspect(Path("scratch")).obstacle == "not an absolute path"


def test_all_workers_of_a_session_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scratch.inspect", lambda path: Place(path, 4 * GIB))
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    with pytest.raises(ScratchError, match="6144 MiB"), scratch_directory("never made", 2 * GIB):
        pass


def test_the_directory_is_open_to_others_and_removed() -> None:
    with scratch_directory("of this test ", MIB) as directory:
        assert directory.stat().st_mode & 0o777 == 0o755
        (directory / "file").write_bytes(b"x")
    assert not directory.exists()
