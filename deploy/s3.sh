#!/bin/sh
# versitygw over a directory, with one bucket. Its key is two files of the init container, which it takes from its environment.
set -eu
ROOT_ACCESS_KEY="$(cat /var/lib/checkvalve/s3/access-key)"
ROOT_SECRET_KEY="$(cat /var/lib/checkvalve/s3/secret-key)"
export ROOT_ACCESS_KEY ROOT_SECRET_KEY
mkdir -p /var/lib/s3/data/checkvalve /var/lib/s3/metadata
exec versitygw --port :7070 --keep-alive --quiet posix --sidecar /var/lib/s3/metadata /var/lib/s3/data
