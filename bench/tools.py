"""How each tool is asked to do a case, between the same two servers, at its defaults or at its best setting."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from servers.openssh import SshServer

from cases import Case

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(os.environ.get("CHECKVALVE_PROGRAM", ROOT / "build" / "checkvalve"))
NEW_RCLONE = ROOT / "bench" / "tools" / "rclone"
CIPHER = "aes128-gcm@openssh.com"


@dataclass(frozen=True)
class End:
    """One side of a case."""

    server: SshServer
    port: int  # of the server, or of the proxy in front of it
    folder: Path

    @property
    def place(self) -> str:
        return f"{self.server.user}@127.0.0.1"


@dataclass(frozen=True)
class Setup:
    source: End
    target: End
    scratch: Path  # keys, known_hosts, state
    known_hosts: Path
    identity: Path


@dataclass(frozen=True)
class Command:
    argv: list[str]
    env: dict[str, str]


def _ssh_options(setup: Setup) -> list[str]:
    return [
        "-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={setup.identity}",
        "-o", f"UserKnownHostsFile={setup.known_hosts}", "-c", CIPHER,
    ]  # fmt: skip


def ssh_command(setup: Setup, end: End) -> str:
    """For a shell; the remote command follows."""
    return shlex.join(["ssh", *_ssh_options(setup), "-p", str(end.port), end.place])


def _ssh(setup: Setup, end: End, command: str) -> str:
    return f"{ssh_command(setup, end)} {shlex.quote(command)}"


def raw(setup: Setup, case: Case, scale: float) -> Command:
    """What two ssh commands and a pipe can do: tar for many files, cat for one, find where nothing is copied."""
    source, target = (shlex.quote(str(end.folder)) for end in (setup.source, setup.target))
    if case.synced_before or case.plan_only:
        find = "find {} -type f -printf '%P\\t%s\\t%T@\\n'"
        left, right = (_ssh(setup, end, find.format(folder)) for end, folder in
                       ((setup.source, source), (setup.target, target)))  # fmt: skip
        script = f"{left} > /dev/null & {right} > /dev/null; wait"
    elif (setup.source.folder / "large.bin").exists():
        script = (f"{_ssh(setup, setup.source, f'cat {source}/large.bin')} | "
                  f"{_ssh(setup, setup.target, f'cat > {target}/large.bin')}")  # fmt: skip
    else:
        script = (f"{_ssh(setup, setup.source, f'tar -C {source} -cf - .')} | "
                  f"{_ssh(setup, setup.target, f'tar -C {target} -xf -')}")  # fmt: skip
    return Command(["bash", "-o", "pipefail", "-c", script], {})


def checkvalve(setup: Setup, case: Case, scale: float) -> Command:
    """At its defaults; the state is a fresh file, or on a rerun the one of the run before."""
    ends = [end.server.url(end.folder, end.port) for end in (setup.source, setup.target)]
    verb = "plan" if case.plan_only else "sync"
    options = ["--identity", str(setup.identity), "--known-hosts", str(setup.known_hosts),
               "--state", str(setup.scratch / "state.db"), "--json"]  # fmt: skip
    return Command([str(PROGRAM), verb, *ends, *options], {})


def _rclone(program: str, setup: Setup, case: Case, tuned: bool) -> Command:
    env = {"RCLONE_CONFIG": str(setup.scratch / "rclone.conf")}
    for name, end in (("SRC", setup.source), ("DST", setup.target)):
        env |= {
            f"RCLONE_CONFIG_{name}_{key}": value
            for key, value in {
                "TYPE": "sftp",
                "HOST": "127.0.0.1",
                "PORT": str(end.port),
                "USER": end.server.user,
                "KEY_FILE": str(setup.identity),
                "KNOWN_HOSTS_FILE": str(setup.known_hosts),
                "CIPHERS": CIPHER,
            }.items()
        }
    argv = [program, "copy", f"SRC:{setup.source.folder}", f"DST:{setup.target.folder}"]
    if tuned:
        # Each transfer opens connections of its own: many pay off at a distance and cost on loopback.
        transfers = "64" if case.round_trip_ms else "4"
        argv += ["--transfers", transfers, "--checkers", transfers, "--sftp-chunk-size", "255k"]
        argv += ["--sftp-concurrency", "128", "--sftp-disable-hashcheck"]
    return Command(argv, env)


def lftp(setup: Setup, case: Case, scale: float) -> Command:
    connect = shlex.join(["ssh", "-a", "-x", *_ssh_options(setup)])
    urls = [f'"sftp://{end.server.user}:x@127.0.0.1:{end.port}{end.folder}"' for end in (setup.source, setup.target)]
    script = "; ".join(
        [
            f"set sftp:connect-program {shlex.quote(connect)}",
            "set sftp:auto-confirm yes",
            "set sftp:max-packets-in-flight 128",
            "set net:max-retries 2",
            f"mirror --parallel=16 --no-perms --no-umask --no-empty-dirs {urls[0]} {urls[1]}",
        ]
    )
    return Command(["lftp", "--norc", "-c", script], {"LFTP_HOME": str(setup.scratch)})


def scp(setup: Setup, case: Case, scale: float) -> Command:
    """Through this machine (-3), as the others do."""
    ends = [f"scp://{end.place}:{end.port}/{end.folder}" for end in (setup.source, setup.target)]
    return Command(["scp", "-3", "-q", "-r", "-p", *_ssh_options(setup), f"{ends[0]}/.", ends[1]], {})


def rclone(setup: Setup, case: Case, scale: float) -> Command:
    return _rclone("/usr/bin/rclone", setup, case, tuned=False)


def rclone_tuned(setup: Setup, case: Case, scale: float) -> Command:
    return _rclone("/usr/bin/rclone", setup, case, tuned=True)


def rclone_new(setup: Setup, case: Case, scale: float) -> Command:
    return _rclone(str(NEW_RCLONE), setup, case, tuned=False)


def rclone_new_tuned(setup: Setup, case: Case, scale: float) -> Command:
    return _rclone(str(NEW_RCLONE), setup, case, tuned=True)


TOOLS = {
    "raw": raw,
    "checkvalve": checkvalve,
    "rclone": rclone,
    "rclone-tuned": rclone_tuned,
    "rclone-new": rclone_new,
    "rclone-new-tuned": rclone_new_tuned,
    "lftp": lftp,
    "scp": scp,
}


def _first_match(argv: list[str], pattern: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found.group(1) if found else "unknown"


def versions() -> dict[str, str]:
    """The version of each tool that is installed; a tool that is not takes no part in the cases."""
    found = {
        "raw": _first_match(["ssh", "-V"], r"(OpenSSH_[\w.]+)"),
        "scp": _first_match(["ssh", "-V"], r"(OpenSSH_[\w.]+)"),
    }
    if PROGRAM.exists():
        found["checkvalve"] = _first_match([str(PROGRAM), "--version"], r"(\d+\.\d+\.\d+)")
    if shutil.which("lftp"):
        found["lftp"] = _first_match(["lftp", "--version"], r"Version (\S+)")
    for name, program in (("rclone", Path("/usr/bin/rclone")), ("rclone-new", NEW_RCLONE)):
        if program.exists():
            found[name] = found[f"{name}-tuned"] = _first_match([str(program), "version"], r"rclone v(\S+)")
    return found


def build_new_rclone() -> None:
    """Builds rclone's newest release from the Go module proxy into bench/tools/, once."""
    if NEW_RCLONE.exists():
        return
    if not shutil.which("go"):
        print("no Go tool chain: skipping the newest rclone")
        return
    NEW_RCLONE.parent.mkdir(parents=True, exist_ok=True)
    print("building the newest rclone from the Go module proxy (some minutes, once)", flush=True)
    done = subprocess.run(["go", "install", "-ldflags=-s -w", "github.com/rclone/rclone@latest"],
                          env={**os.environ, "GOBIN": str(NEW_RCLONE.parent)}, check=False)  # fmt: skip
    if done.returncode != 0:
        print("go could not build rclone: skipping the newest rclone")
