"""Nobody runs as root or holds what it does not need, and no secret shows anywhere."""

from __future__ import annotations

import json

import pytest
from airflow_stack.client import wait_for

from airflow_scenarios import PASSWORD

from .containers import POSTGRES, S3, SERVICES, Containers, containers, docker, processes, within, within_container

OF_DATABASE = ("jwt-secret", "fernet-key", "admin-password", "postgres-password")


def secrets() -> list[str]:
    """One line of each: of the private key, its middle one."""
    texts = [within("api-server", f"cat /var/lib/checkvalve/database/{name}").strip() for name in OF_DATABASE]
    key = within("api-server", "sed -n 3p /var/lib/checkvalve/database/client_key").strip()
    return [*texts, key, within("worker", "cat /var/lib/checkvalve/worker/api-secret-key").strip(), *s3_secrets()]


def s3_secrets() -> list[str]:
    return [within("s3", "cat /var/lib/checkvalve/s3/secret-key").strip()] if S3 else []


@pytest.mark.short
def test_nobody_runs_as_root_or_sees_more_than_it_needs(site: Containers) -> None:
    for service in SERVICES:
        assert within(service, "id -u").strip() != "0", service
        host = json.loads(docker("inspect", containers(service)[0]))[0]["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["Memory"] > 0
        assert host["NanoCpus"] > 0
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert within("worker", "cd /var/lib/checkvalve && find database metadata source-ssh target-ssh s3").split() == [
        "database",
        "metadata",
        "source-ssh",
        "target-ssh",
        "s3",
    ]


@pytest.mark.short
def test_no_secret_shows_anywhere(site: Containers) -> None:
    """In arguments, environments, containers' settings and logs, task logs, the state, and answers of the API."""
    hidden = [*secrets(), PASSWORD]
    assert all(len(secret) > 20 for secret in hidden)
    site.fill("secrets", 10, 300_000)
    run_id = site.client.trigger("slow", conf={"folder": "secrets"})
    wait_for(site.engines, 60, "an engine to run")
    for service in SERVICES:
        own = s3_secrets() if service == "s3" else []  # versitygw takes its key from its environment
        for name in containers(service):
            shown = docker("inspect", name) + "\n".join(args for _, args in processes(name))
            shown += within_container(name, "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' || true")
            assert "PATH=" in shown
            assert not [secret for secret in hidden if secret in shown and secret not in own], service
            assert not [secret for secret in own if secret in docker("inspect", name)]
    assert site.client.wait_for_run("slow", run_id, 120) == "success"

    reported = json.dumps(site.client.tasks("slow", run_id)) + json.dumps(site.client.xcoms("slow", run_id))
    reported += "".join(docker("logs", name) for service in SERVICES for name in containers(service))
    assert not [secret for secret in hidden if secret in reported]

    places = {"worker": "/opt/airflow/logs /var/lib/checkvalve/state"}
    if POSTGRES:
        dumped = within("postgres", "pg_dump -U checkvalve airflow && pg_dump -U checkvalve checkvalve")
        assert "checkvalve_target" in dumped
        assert not [secret for secret in hidden if secret in dumped]
    else:
        places["scheduler"] = "/var/lib/checkvalve/metadata/airflow.db*"
    for service, paths in places.items():
        assert int(within(service, f"find {paths} -type f | wc -l")) > 0
        # The patterns come by standard input: arguments would show.
        found = within(service, f"grep -raolF -f - {paths} || true", given="\n".join(hidden) + "\n")
        assert found == "", service
