"""The provider's metadata for Airflow (entry point ``apache_airflow_provider``)."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    return {
        "package-name": "checkvalve",
        "name": "Checkvalve",
        "description": "One-way file sync between SFTP, S3 and local storage, in balanced batches over Celery workers.",
        "integrations": [{"integration-name": "Checkvalve", "tags": ["protocol"]}],
        "hooks": [{"integration-name": "Checkvalve", "python-modules": ["checkvalve.airflow.hooks.checkvalve"]}],
        "operators": [
            {
                "integration-name": "Checkvalve",
                "python-modules": [
                    "checkvalve.airflow.operators.sync",
                    "checkvalve.airflow.operators.plan",
                    "checkvalve.airflow.operators.batch",
                    "checkvalve.airflow.operators.finish",
                ],
            }
        ],
        "extra-links": ["checkvalve.airflow.links.ReportLink"],
        "connection-types": [
            {
                "connection-type": "checkvalve",
                "hook-class-name": "checkvalve.airflow.hooks.checkvalve.CheckvalveHook",
                "hook-name": "Checkvalve endpoint",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port", "extra"],
                    "relabeling": {"host": "URL", "login": "User"},
                    "placeholders": {
                        "host": "sftp://files.example.org/outgoing",
                        "login": "user (or in the URL)",
                        "password": "password, if the endpoint needs one",
                    },
                },
                "conn-fields": {
                    "options": {
                        "label": "Options",
                        "description": "Options of the backend, one KEY=VALUE per line"
                        " (`checkvalve backends` lists them), e.g. host_key=ssh-ed25519 AAAA…",
                        "schema": {"type": ["string", "null"], "format": "multiline"},
                    },
                    "private_key": {
                        "label": "Private key",
                        "description": "SFTP: the text of the key, in OpenSSH or PEM format",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "passphrase": {
                        "label": "Passphrase",
                        "description": "SFTP: passphrase of the private key",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                },
            }
        ],
        "config": {
            "checkvalve": {
                "description": "Defaults of the checkvalve operators.",
                "options": {
                    "state": {
                        "description": "Where plans and history are kept: a path that all workers share,"
                        " postgresql://user@host/name, or the id of a Postgres connection."
                        " Overrides CHECKVALVE_STATE.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/var/lib/checkvalve/state.db",
                        "default": None,
                    },
                    "program": {
                        "description": "The checkvalve program, if not the one of the wheel."
                        " Overrides CHECKVALVE_PROGRAM.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/usr/bin/checkvalve",
                        "default": None,
                    },
                },
            }
        },
    }
