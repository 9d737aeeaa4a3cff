#!/bin/sh
# The one-shot container: makes the secrets that are missing, each in the volume of who needs it, prepares the metadata
# database, and imports the connections. Safe to run again.
set -eu
umask 077
base=/var/lib/checkvalve

random() { python3 -c 'import secrets; print(secrets.token_urlsafe(32), end="")'; }
make() { [ -s "$1" ] || "$2" >"$1"; }
fernet() { python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode(), end="")'; }

make "$base/worker/api-secret-key" random
make "$base/database/jwt-secret" random
make "$base/database/fernet-key" fernet
make "$base/database/admin-password" random
make "$base/database/postgres-password" random
if [ -n "${POSTGRES_HOST:-}" ]; then
  printf 'postgresql+psycopg2://checkvalve:%s@%s:5432/airflow' \
    "$(cat $base/database/postgres-password)" "$POSTGRES_HOST" >"$base/database/url"
else
  printf 'sqlite:////var/lib/checkvalve/metadata/airflow.db' >"$base/database/url"
fi

[ -s $base/database/client_key ] || ssh-keygen -q -t ed25519 -N '' -C checkvalve -f $base/database/client_key
for server in source target; do
  [ -s $base/$server-ssh/host_key ] || ssh-keygen -q -t ed25519 -N '' -C $server -f $base/$server-ssh/host_key
  cp $base/database/client_key.pub $base/$server-ssh/authorized_keys
done

# With PostgreSQL this container runs twice: for the secrets, which the server needs, and for the rest.
[ "${1:-}" = secrets ] && exit 0
# Airflow opens this file for writing, too.
printf '{"admin": "%s"}' "$(cat $base/database/admin-password)" >"$base/metadata/passwords.json"
if [ -n "${S3_HOST:-}" ]; then
  for name in access-key secret-key; do make "$base/s3/$name" random; done
fi
airflow db migrate
python3 - "$base" >"$base/database/connections.json" <<'PYTHON'
import json, os, pathlib, sys
base = pathlib.Path(sys.argv[1])
key = (base / "database/client_key").read_text()
connections = {
    f"checkvalve_{server}": {
        "conn_type": "sftp",
        "host": server,
        "port": 2222,
        "login": "checkvalve",
        "extra": json.dumps({
            "private_key": key,
            "host_key": " ".join((base / f"{server}-ssh/host_key.pub").read_text().split()[:2]),
        }),
    }
    for server in ("source", "target")
}
if host := os.environ.get("POSTGRES_HOST"):
    connections["checkvalve_state"] = {
        "conn_type": "postgres", "host": host, "port": 5432, "schema": "checkvalve", "login": "checkvalve",
        "password": (base / "database/postgres-password").read_text(),
    }
if host := os.environ.get("S3_HOST"):
    connections["checkvalve_s3"] = {
        "conn_type": "aws",
        "login": (base / "s3/access-key").read_text(),
        "password": (base / "s3/secret-key").read_text(),
        "extra": json.dumps({"endpoint_url": f"http://{host}:7070", "region_name": "us-east-1"}),
    }
print(json.dumps(connections))
PYTHON
airflow connections import --overwrite "$base/database/connections.json"
rm "$base/database/connections.json"
