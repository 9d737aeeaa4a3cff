"""The demo: three dated folders go from one OpenSSH server to another, once; then nothing more has to move."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from servers.openssh import SshServer  # noqa: E402
from servers.process import ServerError  # noqa: E402

PROGRAM = ROOT / "build" / "checkvalve"
PLACE = ROOT / "build" / "demo"
DATES = [str(date(2024, 3, 1) + timedelta(days=day)) for day in range(3)]
SMALL_FILES_A_DATE = 400
LARGE_FILE_BYTES = 256 * 1024 * 1024
TERMINAL = sys.stdout.isatty()


class DemoError(Exception):
    """Something did not turn out as the demo promises."""


def styled(code: str, text: str) -> str:
    return f"\033[{code}m{text}\033[0m" if TERMINAL else text


def step(text: str) -> None:
    print(f"\n{styled('1;36', '▶ ' + text)}", flush=True)


def check(holds: bool, text: str) -> None:
    if not holds:
        raise DemoError(text)
    print(f"  {styled('32', '✓')} {text}", flush=True)


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def fill_date(folder: Path, day: str, random_bytes: random.Random) -> None:
    for number in range(SMALL_FILES_A_DATE):
        region = ("north", "south", "east", "west")[number % 4]
        lines = "".join(f"{day};{region};{number};{random_bytes.randint(1, 99999)}\n" for _ in range(20))
        write(folder / f"region/{region}/orders_{number:04}.txt", lines)
    write(folder / "notes/with spaces/read me first.txt", f"Orders of {day}.\n")
    write(folder / "notes/Übersicht für Zürich, 東京.txt", "Grüße aus der Quelle\n")
    write(folder / "notes/empty.txt", b"")


def fill_source(source: Path) -> None:
    random_bytes = random.Random(2024)
    for day in DATES:
        fill_date(source / day, day, random_bytes)
    with (source / DATES[1] / "scan.bin").open("wb") as large:
        for _ in range(LARGE_FILE_BYTES >> 20):
            large.write(random_bytes.randbytes(1 << 20))


def human(size_bytes: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes = size_bytes / 1024  # type: ignore[assignment]
    return f"{size_bytes:.1f} GiB"


def counted(files: int) -> str:
    return f"{files} file" if files == 1 else f"{files} files"


def show_tree(folder: Path, indent: str = "  ", depth: int = 3) -> None:
    """Folders with their counts, and a few files of each."""
    entries = sorted(folder.iterdir(), key=lambda entry: (entry.is_file(), entry.name))
    files = [entry for entry in entries if entry.is_file()]
    for entry in entries:
        if entry.is_dir():
            inside = [item for item in entry.rglob("*") if item.is_file()]
            size = sum(item.stat().st_size for item in inside)
            print(f"{indent}{styled('1;34', entry.name + '/')}  {counted(len(inside))}, {human(size)}")
            if depth > 1:
                show_tree(entry, indent + "  ", depth - 1)
    for entry in files[:4]:
        print(f"{indent}{entry.name}  {human(entry.stat().st_size)}")
    if len(files) > 4:
        print(f"{indent}… and {counted(len(files) - 4)} more")


def same_trees(source: Path, target: Path) -> bool:
    def listing(root: Path) -> list[Path]:
        return sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())

    names = listing(source)
    return names == listing(target) and all(
        subprocess.run(["cmp", "-s", source / name, target / name], check=False).returncode == 0 for name in names
    )


def endpoint(name: str, url: str, identity: Path, known_hosts: Path) -> str:
    """A table of the config. JSON's strings are TOML's, too."""
    options = {"url": url, "identity": str(identity), "known_hosts": str(known_hosts)}
    return f"[endpoint.{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items()) + "\n"


class Demo:
    def __init__(self, source_server: SshServer, target_server: SshServer) -> None:
        self.source = PLACE / "source"
        self.target = PLACE / "target"
        known_hosts = PLACE / "known_hosts"
        known_hosts.write_text(source_server.known_hosts.read_text() + target_server.known_hosts.read_text())
        self.config = PLACE / "checkvalve.toml"
        self.config.write_text(
            endpoint("source", source_server.url(self.source), source_server.user_key, known_hosts)
            + endpoint("target", target_server.url(self.target), source_server.user_key, known_hosts)
            + '[job.daily]\nsource = "source:{date}"\ntarget = "target:{date}"\n'
        )
        self.totals = {"files": 0, "bytes": 0, "seconds": 0.0}

    def sync(self, day: str) -> dict[str, object]:
        options = ["--config", str(self.config), "--job", "daily", "--date", day]
        argv = [str(PROGRAM), "sync", *options, "--state", str(PLACE / "state.db"), "--json"]
        print("  " + styled("2", f"$ checkvalve sync --job daily --date {day}"), flush=True)
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise DemoError(f"checkvalve ended with {done.returncode}: {done.stdout.decode(errors='replace')}")
        return dict(json.loads(done.stdout))

    def first_runs(self) -> None:
        for day in DATES:
            step(f"Sync of {day}")
            summary = self.sync(day)
            seconds = float(str(summary["seconds"]))
            self.totals["files"] += int(str(summary["files_copied"]))
            self.totals["bytes"] += int(str(summary["bytes_copied"]))
            self.totals["seconds"] += seconds
            check(
                same_trees(self.source / day, self.target / day),
                f"{summary['files_copied']} files, {human(int(str(summary['bytes_copied'])))} in {seconds:.1f} s; "
                f"both sides are the same",
            )
        step("The tree at the target")
        show_tree(self.target)

    def second_runs(self) -> None:
        step("The same again: nothing has to move")
        for day in DATES:
            summary = self.sync(day)
            check(
                summary["files_copied"] == 0 and summary["bytes_copied"] == 0,
                f"{day}: 0 files copied, {summary['files_skipped']} up to date, in {summary['seconds']} s",
            )

    def deletion(self) -> None:
        step("A file is deleted at the source; the target keeps it")
        name = f"{DATES[0]}/notes/with spaces/read me first.txt"
        (self.source / name).unlink()
        self.sync(DATES[0])
        check((self.target / name).exists(), f"still at the target: {name}")

    def run(self) -> None:
        step(f"The job, in {self.config.relative_to(ROOT)}")
        print("".join(f"  {styled('2', line)}\n" for line in self.config.read_text().splitlines()), end="", flush=True)
        self.first_runs()
        self.second_runs()
        self.deletion()


def next_steps(totals: dict[str, float]) -> None:
    step("Done")
    print(
        f"  {totals['files']:.0f} files, {human(int(totals['bytes']))} moved in {totals['seconds']:.1f} s; "
        "the servers are stopped."
    )
    print(f"  The files are in {PLACE} until ./dev clean.")
    print("\n  Next, between your own servers:")
    print("    build/checkvalve trust sftp://HOST              accept a host key")
    print("    build/checkvalve sync sftp://A/path sftp://B/path")
    print("    ./dev test                                      every test")


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    step("Two OpenSSH servers on free loopback ports, with keys of their own")
    source_server = SshServer(PLACE / "servers" / "source")
    target_server = SshServer(PLACE / "servers" / "target", authorized=[source_server.user_key])
    try:
        with source_server, target_server:
            print(f"  source 127.0.0.1:{source_server.port}   target 127.0.0.1:{target_server.port}")
            step(f"Filling the source: {', '.join(DATES)}")
            demo = Demo(source_server, target_server)
            fill_source(demo.source)
            demo.target.mkdir()
            demo.run()
    except (DemoError, ServerError) as error:
        print(f"\n{styled('1;31', '✗')} {error}\n  The servers' logs are in {PLACE / 'servers'}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the servers are stopped, too", file=sys.stderr)
        return 130
    next_steps(demo.totals)
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that is not UTF-8
    os.environ.pop("SSH_AUTH_SOCK", None)  # the demo's own keys only
    sys.exit(main())
