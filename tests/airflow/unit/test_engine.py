"""The Python API with the real program: events, results, secrets, stopping."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import checkvalve
import pytest
from checkvalve import events

from servers.openssh import SshServer
from servers.process import alive, descendants, wait_until


def fill(folder: Path, names: list[str], size_bytes: int = 100) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * (size_bytes // len(name.encode()) + 1))


def test_sync_yields_events_and_a_summary(place: Path) -> None:
    fill(place / "source", ["a.txt", "b/c.txt", "b/d.log"])
    options = checkvalve.JobOptions(include=["*.txt"])
    with checkvalve.sync(f"file://{place}/source", f"file://{place}/target", options, state=str(place / "s.db")) as run:
        seen = list(run)
        summary = run.result()
    assert (summary.files_copied, summary.files_failed, summary.interrupted) == (2, 0, False)
    assert [event.path for event in seen if isinstance(event, events.FilePublished)]
    assert summary.plan
    assert sorted(p.name for p in (place / "target").rglob("*") if p.is_file()) == ["a.txt", "c.txt"]
    with checkvalve.sync(f"file://{place}/source", f"file://{place}/target", options, state=str(place / "s.db")) as run:
        again = run.result()
    assert (again.files_copied, again.bytes_copied, again.files_skipped) == (0, 0, 2)


def test_plan_run_status_and_verify(place: Path) -> None:
    fill(place / "source", [f"{number}.txt" for number in range(10)])
    ends = (f"file://{place}/source", f"file://{place}/target")
    state = str(place / "s.db")
    with checkvalve.plan(*ends, options=checkvalve.JobOptions(batch_files=4), state=state) as operation:
        plan = operation.result()
    assert sum(batch.files for batch in plan.batch_list) == 10
    assert len(plan.batch_list) == 3
    with checkvalve.run(plan.plan, [2], state=state) as operation:
        assert operation.result().files_copied == plan.batch_list[1].files
    status = checkvalve.status(plan.plan, state=state)
    assert [batch.state for batch in status.batches] == ["pending", "done", "pending"]
    assert status.files_missing == 10 - plan.batch_list[1].files
    with checkvalve.run(plan.plan, state=state) as operation:
        operation.result()
    assert checkvalve.status(plan.plan, state=state).files_missing == 0
    assert checkvalve.verify(*ends, state=state).difference_count == 0
    (place / "target/3.txt").write_text("other")
    assert [item.path for item in checkvalve.verify(*ends, state=state).differences] == ["3.txt"]


def test_a_list_of_files_of_any_name(place: Path) -> None:
    names = ["a b.txt", "line\nbreak.txt", "quote'\".txt", "ünï/c.txt"]
    fill(place / "source", [*names, "not this.txt"])
    with checkvalve.sync(
        f"file://{place}/source", f"file://{place}/target", files=names, state=str(place / "s.db")
    ) as run:
        assert run.result().files_copied == len(names)
    found = sorted(str(p.relative_to(place / "target")) for p in (place / "target").rglob("*") if p.is_file())
    assert found == sorted(names)


def test_wrong_usage_is_permanent(place: Path) -> None:
    with (
        checkvalve.sync("nosuch://x", f"file://{place}/target", state=str(place / "s.db")) as run,
        pytest.raises(checkvalve.PermanentError, match="nosuch"),
    ):
        run.result()


def test_secrets_are_in_no_argument_and_no_environment(place: Path, server: SshServer) -> None:
    fill(place / "source", ["a.txt"], 50_000_000)
    key = server.user_key.read_text()
    source = checkvalve.Endpoint(server.url(place / "source"), {"known_hosts": str(server.known_hosts)},
                                 {"private_key": key})  # fmt: skip
    options = checkvalve.JobOptions(bwlimit="20MB/s")
    with checkvalve.sync(source, f"file://{place}/target", options, state=str(place / "s.db")) as run:
        next(event for event in run if isinstance(event, events.FileStarted))
        process = Path(f"/proc/{run.pid}")
        secret = key.splitlines()[2].encode()
        assert secret not in (process / "cmdline").read_bytes()
        assert secret not in (process / "environ").read_bytes()
        assert run.result().files_copied == 1
    assert secret not in (place / "s.db").read_bytes()


def test_close_stops_the_engine(place: Path) -> None:
    fill(place / "source", ["a.txt"], 100_000_000)
    options = checkvalve.JobOptions(bwlimit="1MB/s")
    with checkvalve.sync(f"file://{place}/source", f"file://{place}/target", options, state=str(place / "s.db")) as run:
        next(event for event in run if isinstance(event, events.FileStarted))
        assert run.running()
    assert not run.running()
    assert not (place / "target/a.txt").exists()
    with pytest.raises(checkvalve.TransientError):
        run.result()


def test_being_told_to_stop_twice_still_cleans_up(place: Path) -> None:
    """As when Airflow signals the process group, and then on_kill the engine."""
    fill(place / "source", ["a.txt"], 100_000_000)
    options = checkvalve.JobOptions(bwlimit="1MB/s")
    with checkvalve.sync(f"file://{place}/source", f"file://{place}/target", options, state=str(place / "s.db")) as run:
        next(event for event in run if isinstance(event, events.FileStarted))
        run.terminate()
        run.terminate()
        with pytest.raises(checkvalve.TransientError, match="SIGTERM"):
            run.result()
    assert [path for path in (place / "target").rglob("*") if path.is_file()] == []


def test_the_engine_dies_with_its_parent(place: Path) -> None:
    fill(place / "source", ["a.txt"], 100_000_000)
    script = f"""
        import checkvalve, sys
        options = checkvalve.JobOptions(bwlimit="1MB/s")
        with checkvalve.sync("file://{place}/source", "file://{place}/target", options, state="{place}/s.db") as run:
            for event in run:
                if event.type == "file_started":
                    print("started", flush=True)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    assert parent.stdout.readline() == "started\n"
    engines = descendants(parent.pid)
    assert engines
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert wait_until(lambda: not any(alive(engine) for engine in engines), 10)


def test_exit_codes_become_exceptions() -> None:
    from checkvalve.engine import error_of
    from checkvalve.summary import Summary

    def outcome(code: int, **fields: object) -> checkvalve.EngineError:
        return error_of(code, Summary.from_json({"command": "sync", **fields}), "")

    failure = {"kind": "permission", "status": "permanent", "operation": "open", "path": "a", "message": "no"}
    later = {**failure, "kind": "timeout", "status": "exhausted"}
    assert isinstance(outcome(1, files_failed=1, failures=[failure]), checkvalve.PermanentError)
    assert isinstance(outcome(1, files_failed=2, failures=[failure, later]), checkvalve.TransientError)
    assert isinstance(outcome(3, error={**failure, "kind": "auth"}), checkvalve.PermanentError)
    assert isinstance(
        outcome(3, error={**failure, "kind": "connection", "status": "transient"}), checkvalve.TransientError
    )
    assert isinstance(outcome(143, interrupted=True), checkvalve.TransientError)
    assert isinstance(error_of(-9, None, ""), checkvalve.TransientError)
    assert isinstance(error_of(2, None, "--x: unknown"), checkvalve.PermanentError)
