#!/bin/sh
# PostgreSQL with two databases: Airflow's metadata and the sync state. The password is a file of the init container.
set -eu
export PGDATA=/var/lib/postgresql/data
password=/var/lib/checkvalve/database/postgres-password
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username=checkvalve --pwfile="$password" --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  pg_ctl --wait --options="-c listen_addresses=''" start
  for name in airflow checkvalve; do createdb --username=checkvalve --host=/var/run/postgresql "$name"; done
  pg_ctl --wait stop
fi
exec postgres -c listen_addresses='*'
