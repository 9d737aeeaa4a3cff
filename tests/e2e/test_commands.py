"""The other commands, wrong usage, configs with jobs and dates, and what a person sees."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from e2e.support.pair import FIXED_MTIME, Pair
from e2e.support.program import PROGRAM, Outcome, Program
from e2e.support.trees import contents, fill, large_file, many_small, snapshot, write_file
from servers.openssh import SshServer
from servers.process import free_port

COMMANDS = ["sync", "plan", "run", "status", "verify", "sweep", "ls", "doctor", "trust"]


@pytest.fixture
def program(place: Path) -> Program:
    return Program(place / "home")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(program: Program, command: str) -> None:
    text = program.run(command, "--help").expect(0).stdout.decode()
    assert re.search(r"^\s+checkvalve " + command, text, re.MULTILINE), text


@pytest.mark.quick
def test_help_and_version(program: Program) -> None:
    text = program.run("--help").expect(0).stdout.decode()
    assert all(command in text for command in COMMANDS)
    assert re.search(r"\d+\.\d+\.\d+", program.run("--version").expect(0).stdout.decode())


@pytest.mark.quick
@pytest.mark.parametrize(
    "arguments",
    [
        ["sync"],
        ["sync", "/only-one"],
        ["sync", "/a", "/b", "--no-such-option"],
        ["sync", "/a", "/b", "--memory", "lots"],
        ["sync", "/a", "/b", "--min-age", "soon"],
        ["sync", "/a", "/b", "--on-conflict", "maybe"],
        ["sync", "/a", "/b", "--include", "[unclosed"],
        ["sync", "gopher://host/a", "/b"],
        ["sync", "nowhere:a", "/b"],
        ["sync", "--job", "nothing"],
        ["sync", "/a/{date}", "/b/{date}"],
        ["sync", "/a/{date}", "/b/{date}", "--date", "2024-02-30"],
        ["sync", "/a", "/b", "--config", "/does/not/exist.toml"],
        ["frobnicate"],
    ],
)
def test_wrong_usage(program: Program, arguments: list[str]) -> None:
    outcome = program.run(arguments[0], *arguments[1:]).expect(2)
    assert outcome.stderr.strip() or outcome.stdout.strip()


@pytest.mark.parametrize(
    ("source", "fix"),
    [
        ("user@host:/data/in", "write sftp://user@host/data/in "),
        ("user@host:in", "write sftp://user@host/~/in "),
        ("host:/data", "write sftp://host/data "),
        ("sftp:/host/data", "sftp://host/data"),
        ("s3:/bucket/x", "s3://bucket/x"),
        ("s3:///x", "expected s3://BUCKET/PREFIX"),
    ],
)
def test_malformed_urls(program: Program, source: str, fix: str) -> None:
    assert fix in program.run("sync", source, "/b").expect(2).text


def test_a_file_as_source(program: Program, place: Path) -> None:
    write_file(place / "file", b"x")
    assert "--file NAME" in program.run("sync", str(place / "file"), str(place / "t")).expect(3).text


def test_target_in_its_source(program: Program, place: Path) -> None:
    """Each run would copy what the last one wrote, one level deeper."""
    source = place / "source"
    fill(source, {"a": b"a", "below/b": b"b"})
    (place / "link").symlink_to(source)
    for target in (source, place / "link", source / "."):
        assert "is the source itself" in program.run("sync", str(source), str(target)).expect(2).text
    for target in (source / "below", place / "link" / "copy"):
        assert "lies inside the source" in program.run("sync", str(source), str(target)).expect(2).text
    assert sorted(contents(source)) == [b"a", b"below/b"]
    assert not (source / "copy").exists()
    for _ in range(2):
        program.run("sync", str(source), str(source / "copy"), "--exclude", "/copy/**").expect(0)
    assert sorted(contents(source)) == [b"a", b"below/b", b"copy/a", b"copy/below/b"]
    program.run("sync", str(source / "below"), str(source)).expect(0)
    program.run("sync", str(source), str(place / "source2")).expect(0)


def test_new_local_files_may_be_read(program: Program, place: Path) -> None:
    """With the mode that new files have, not none at all: root, as which tests may run, would not notice."""
    fill(place / "source", {"a": b"a"})
    program.run("sync", str(place / "source"), str(place / "t")).expect(0)
    mask = os.umask(0)
    os.umask(mask)
    assert (place / "t" / "a").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ["sync", "/a", "/b", "--exlude", "x"],
            "unknown option '--exlude' of 'checkvalve sync'",
            "did you mean '--exclude'?",
        ),
        (
            ["sync", "/a", "/b", "--overwrite", "x"],
            "unknown option '--overwrite' of",
            "use --on-conflict overwrite-non-atomic",
        ),
        (
            ["verify", "/a", "/b", "--durable"],
            "unknown option '--durable' of 'checkvalve verify'",
            "checkvalve verify --help",
        ),
        (["sync", "/a", "/b", "--retries"], "option '--retries' requires a value", "checkvalve sync --help"),
        (
            ["sync", "/a", "/b", "--retries", "x"],
            "--retries: invalid value 'x': expected an integer from 0 to 1000",
            "",
        ),
        (
            ["sync", "/a", "/b", "--progress", "x"],
            "invalid value 'x': expected one of auto, always, never",
            "checkvalve sync --help",
        ),
        (["sync", "/a"], "missing TARGET", "give SOURCE and TARGET"),
        (["run"], "missing PLAN", "checkvalve run --help"),
        (["sync", "/a", "/b", "/c"], "unexpected argument '/c'", "checkvalve sync --help"),
        (["sinc"], "unknown command 'sinc'", "did you mean 'sync'?"),
        (["-V"], "unknown option '-V'", "checkvalve --help"),
    ],
)
def test_usage_errors_say_what_is_wrong_and_what_to_do(
    program: Program, arguments: list[str], message: str, hint: str
) -> None:
    lines = program.run(*arguments).expect(2).stderr.decode().splitlines()
    assert message in lines[0]
    assert lines[1:] == [line for line in lines[1:] if line.startswith("hint: ") and hint in line]
    assert bool(lines[1:]) == bool(hint)


def test_source_that_does_not_exist(pair: Pair) -> None:
    pair.source.rmdir()
    outcome = pair.sync()
    assert outcome.code in (1, 3), outcome.text
    assert "not_found" in outcome.stdout.decode()


def test_server_that_is_down(plain_pair: Pair) -> None:
    fill(plain_pair.source, {"a": b"a"})
    url = f"sftp://127.0.0.1:{free_port()}/x"
    outcome = plain_pair.program.work("sync", url, plain_pair.target_url, "--retries", "1").expect(3)
    assert (outcome.json["error"]["kind"], outcome.json["error"]["status"] != "permanent") == ("connection", True)
    outcome = plain_pair.program.work("sync", plain_pair.source_url, url, "--retries", "0").expect(3)
    assert outcome.json["files_copied"] == 0


@pytest.mark.quick
def test_verify(pair: Pair) -> None:
    fill(pair.source, {"same": b"same", "size": b"longer", "missing": b"x", "content": b"right"})
    for path in pair.source.iterdir():
        os.utime(path, (FIXED_MTIME, FIXED_MTIME))
    pair.synced()
    options = list(pair.program.options)

    def verify(*extra: str) -> tuple[int, dict[str, str], int]:
        outcome = pair.program.run("verify", pair.source_url, pair.target_url, *options, "--json", *extra)
        report = outcome.json
        return outcome.code, {entry["path"]: entry["reason"] for entry in report["differences"]}, report["files_extra"]

    assert verify() == (0, {}, 0)
    write_file(pair.target / "size", b"short", mtime=FIXED_MTIME)
    (pair.target / "missing").unlink()
    write_file(pair.target / "content", b"wrong", mtime=FIXED_MTIME)
    write_file(pair.target / "extra", b"extra")
    before = snapshot(pair.target)
    assert verify() == (1, {"size": "size", "missing": "missing"}, 1)
    assert verify("--checksum") == (1, {"size": "size", "missing": "missing", "content": "content"}, 1)
    shown = pair.program.run("verify", pair.source_url, pair.target_url, *options, "--checksum").text
    assert re.search("content.* at the source, .* at the target", shown), shown
    assert "leads to" not in shown
    assert snapshot(pair.target) == before


def run_on(pair: Pair, command: str, url: str, *options: str) -> Outcome:
    return pair.program.run(command, url, *pair.program.connection_options, *options)


@pytest.mark.quick
def test_ls(plain_pair: Pair) -> None:
    fill(plain_pair.source, {"a.txt": b"12345", "folder/b.txt": b"x"})
    write_file(os.fsencode(plain_pair.source) + b"/new\nline", b"")
    text = run_on(plain_pair, "ls", plain_pair.source_url).expect(0).stdout.decode()
    assert "a.txt" in text
    assert "5" in text
    assert "folder" in text
    assert "new\nline" not in text


@pytest.mark.quick
def test_doctor(plain_pair: Pair) -> None:
    before = snapshot(plain_pair.target)
    outcome = run_on(plain_pair, "doctor", plain_pair.target_url, "--json").expect(0)
    assert outcome.json["ok"] is True
    assert "posix-rename@openssh.com" in outcome.stdout.decode()
    assert snapshot(plain_pair.target) == before
    assert "posix-rename" in run_on(plain_pair, "doctor", plain_pair.target_url).expect(0).stdout.decode()


def test_doctor_of_a_root_that_is_a_file(plain_pair: Pair) -> None:
    fill(plain_pair.target, {"file": b"x"})
    outcome = run_on(plain_pair, "doctor", f"{plain_pair.target_url}/file")
    assert outcome.code != 0
    assert "not a directory" in outcome.text
    assert contents(plain_pair.target) == {b"file": b"x"}


def test_doctor_of_a_read_only_server(plain_pair: Pair, read_only_server: SshServer) -> None:
    known_hosts = plain_pair.state.parent / "known_hosts"
    known_hosts.write_text(known_hosts.read_text() + read_only_server.known_hosts.read_text())
    outcome = run_on(plain_pair, "doctor", read_only_server.url(plain_pair.source))
    assert outcome.code in (0, 1), outcome.text


@pytest.mark.parametrize("command", [["ls"], ["doctor"], ["doctor", "--read-only"], ["sweep"], ["verify", "."]])
def test_a_stop_does_not_wait_for_a_silent_server(program: Program, command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"sftp://127.0.0.1:{silent.getsockname()[1]}/"
        argv = [str(PROGRAM), *command, url, "--connect-timeout", "10m"]
        run = subprocess.Popen(argv, env=program.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        silent.settimeout(60)
        with silent.accept()[0]:
            run.send_signal(signal.SIGINT)
            _, errors = run.communicate(timeout=60)
        assert run.returncode == 130, errors


def test_output_that_is_lost_is_an_error(program: Program, place: Path) -> None:
    fill(place / "from", {"a.txt": b"a"})
    for words in (["ls", place / "from"], ["sync", place / "from", place / "to", "--json"], ["backends"], ["--help"]):
        with open("/dev/full", "wb") as full:
            argv = [PROGRAM, *words]
            done = subprocess.run(
                argv, env=program.environment(), stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
            )
        assert done.returncode == 74, (words, done.stderr)
    assert contents(place / "to") == contents(place / "from")
    # Events are written by a thread: it is waited for before the end.
    assert "cannot write to --events" in program.run("sync", "--events", "/dev/full").expect(2).text


@pytest.mark.parametrize("standard_input", ["<&-", "</"])
def test_a_list_of_files_that_can_not_be_read(program: Program, place: Path, standard_input: str) -> None:
    """It is not taken for an empty one."""
    fill(place / "from", {"a.txt": b"a"})
    argv = [str(PROGRAM), "sync", "--files-from", "-", str(place / "from"), str(place / "to")]
    words = ["sh", "-c", f'exec "$@" {standard_input}', "sh", *argv]
    done = subprocess.run(words, env=program.environment(), capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert b"standard input" in done.stderr


def config_text(pair: Pair) -> str:
    server = {
        side: url.split("/")[2].split("@")[1].split(":")
        for side, url in (("source", pair.source_url), ("target", pair.target_url))
    }
    user = pair.source_url.split("/")[2].split("@")[0]
    endpoints = "".join(
        f"""
[endpoint.{side}]
url = "sftp://{user}@{host}:{port}{str(getattr(pair, side)).replace(" ", "%20")}"
"""
        for side, (host, port) in server.items()
    )
    return (
        endpoints
        + """
[job.daily]
source = "source:in/{date}"
target = "target:out/{date:%Y/%m/%d}"
include = ["*.txt"]
"""
    )


@pytest.mark.quick
def test_job_with_a_range_of_dates(pair: Pair) -> None:
    for day in ("2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02"):
        fill(pair.source / "in" / day, {"a.txt": day.encode(), "skipped.csv": b"x"})
    config = pair.state.parent / "checkvalve.toml"
    config.write_text(config_text(pair))
    outcome = pair.program.work("sync", "--config", str(config), "--job", "daily", "--date", "2024-02-29..2024-03-01")
    outcome.expect(0)
    assert len(outcome.stdout.splitlines()) == 2
    assert contents(pair.target) == {b"out/2024/02/29/a.txt": b"2024-02-29", b"out/2024/03/01/a.txt": b"2024-03-01"}


def test_config_in_the_working_directory_and_yesterday(pair: Pair) -> None:
    yesterday = (
        subprocess.run(["date", "-d", "yesterday", "+%F"], capture_output=True, check=True).stdout.decode().strip()
    )
    fill(pair.source / "in" / yesterday, {"a.txt": b"x"})
    (pair.state.parent / "checkvalve.toml").write_text(config_text(pair))
    pair.program.cwd = pair.state.parent
    pair.program.work("sync", "--job", "daily", "--date", "yesterday").expect(0)
    assert list(contents(pair.target)) == [f"out/{yesterday.replace('-', '/')}/a.txt".encode()]


def test_endpoints_by_name(pair: Pair) -> None:
    fill(pair.source, {"sub/a.txt": b"x"})
    config = pair.state.parent / "checkvalve.toml"
    config.write_text(config_text(pair))
    pair.program.work("sync", "source:sub", "target:other", "--config", str(config)).expect(0)
    assert contents(pair.target) == {b"other/a.txt": b"x"}


def test_verify_goes_on_past_a_date_that_is_not_there(program: Program, place: Path) -> None:
    """As sync does."""
    for folder in ("from", "to"):
        fill(place / folder, {"2024-03-01/a.txt": b"a", "2024-03-03/a.txt": b"a"})
    arguments = [f"{place}/{folder}/{{date}}" for folder in ("from", "to")]
    outcome = program.run("verify", *arguments, "--date", "2024-03-01..2024-03-03", "--checksum", "--json").expect(1)
    reports = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert [report["files_compared"] for report in reports] == [1, 0, 1]
    assert reports[1]["error"]["kind"] == "not_found"


def test_a_default_need_not_fit_every_job(program: Program, place: Path) -> None:
    fill(place / "from", {"a.txt": b"a"})
    job = '[job.local]\nsource = "from"\ntarget = "to"\n'
    (place / "jobs.toml").write_text('[defaults]\nidentity = "key"\ntarget_connections = 4\n' + job)
    program.run("sync", "--config", str(place / "jobs.toml"), "--job", "local").expect(0)
    assert contents(place / "to") == {b"a.txt": b"a"}
    (place / "jobs.toml").write_text(job + 'identity = "key"\n')
    assert "--identity" in program.run("sync", "--config", str(place / "jobs.toml"), "--job", "local").expect(2).text


@pytest.mark.parametrize(
    "line", ["unknown_key = 1", "include = { a = 1 }", "this is not toml", 'on_conflict = "maybe"']
)
def test_error_in_the_config_names_the_line(plain_pair: Pair, line: str) -> None:
    config = plain_pair.state.parent / "checkvalve.toml"
    text = config_text(plain_pair).replace('include = ["*.txt"]', line)
    config.write_text(text)
    number = text.splitlines().index(line) + 1
    outcome = plain_pair.program.run("sync", "--config", str(config), "--job", "daily", "--date", "2024-03-01").expect(
        2
    )
    assert f"checkvalve.toml:{number}" in outcome.text


def test_progress_bar_on_a_terminal_only(plain_pair: Pair) -> None:
    many_small(plain_pair.source, 50)
    large_file(plain_pair.source / "large", 30 << 20)
    argv = [str(PROGRAM), "sync", plain_pair.source_url, plain_pair.target_url, *plain_pair.program.options]
    terminal, child_side = pty.openpty()
    run = subprocess.Popen(
        [*argv, "--bwlimit", "30MiB"],
        env={**plain_pair.program.environment(), "TERM": "xterm"},
        stdout=child_side,
        stderr=child_side,
        stdin=subprocess.DEVNULL,
    )
    os.close(child_side)
    shown = b""
    try:
        while piece := os.read(terminal, 4096):
            shown += piece
    except OSError:  # Linux's way to say that the other side is closed
        pass
    os.close(terminal)
    assert run.wait(60) == 0
    assert b"\r" in shown
    assert b"%" in shown
    quiet = subprocess.run(argv, env=plain_pair.program.environment(), capture_output=True, check=True)
    assert b"\r" not in quiet.stderr
    assert b"\x1b" not in quiet.stderr + quiet.stdout


@pytest.mark.quick
def test_output_for_people_names_each_failure(pair: Pair) -> None:
    fill(pair.source, {"a": b"a"})
    outcome = pair.program.run(
        "sync", pair.source_url, pair.target_url, *pair.program.options, "--file", "a", "--file", "gone"
    )
    assert outcome.code == 1
    assert "gone" in outcome.text


def test_dry_run_names_what_it_would_copy(pair: Pair) -> None:
    fill(pair.source, {"a": b"a", "b\n": b"b"})
    outcome = pair.program.run("sync", pair.source_url, pair.target_url, *pair.program.options, "--dry-run").expect(0)
    lines = outcome.stdout.decode().splitlines()
    assert sorted(lines[:2]) == ["would copy a", "would copy b\\x0a"]
    assert lines[2].startswith("2 files to copy")


def test_events_schema_is_the_one_in_the_repository(program: Program) -> None:
    import json

    from e2e.support.program import ROOT

    printed = json.loads(program.run("events-schema").expect(0).stdout)
    assert printed == json.loads((ROOT / "schema" / "events.schema.json").read_text())


def test_state_in_the_default_place(plain_pair: Pair) -> None:
    fill(plain_pair.source, {"a": b"a"})
    options = plain_pair.program.options
    del options[options.index("--state") : options.index("--state") + 2]
    plain_pair.synced()
    assert list((plain_pair.program.home / "state").rglob("*"))


def test_bandwidth_limit(plain_pair: Pair) -> None:
    large_file(plain_pair.source / "large", 12 << 20)
    assert plain_pair.synced("--bwlimit", "8MiB")["seconds"] > 0.7  # type: ignore[operator]


def test_die_with_parent(plain_pair: Pair) -> None:
    """The shell that started it is killed: the program ends and cleans up."""
    import signal

    from servers.process import wait_until

    large_file(plain_pair.source / "large", 60 << 20)
    argv = [
        str(PROGRAM),
        "sync",
        plain_pair.source_url,
        plain_pair.target_url,
        *plain_pair.program.options,
        "--bwlimit",
        "10MiB",
        "--die-with-parent",
    ]
    parent = subprocess.Popen(
        ["sh", "-c", '"$@" & echo $!; wait', "sh", *argv],
        env=plain_pair.program.environment(),
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert wait_until(lambda: any(plain_pair.target.glob(".cv-*.part")), 30)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert wait_until(lambda: not Path(f"/proc/{child}/exe").exists(), 20)
    plain_pair.assert_clean()
