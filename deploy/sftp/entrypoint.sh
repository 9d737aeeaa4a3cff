#!/bin/sh
# An SFTP server as an ordinary user. With SAMPLE_DATA=yes its home gets three dated directories to copy.
set -eu
if [ "${SAMPLE_DATA:-}" = yes ] && [ ! -e "$HOME/source" ]; then
  PYTHONPATH=/etc/checkvalve python3 -c 'import pathlib, sample; sample.fill_source(pathlib.Path.home())'
fi
exec /usr/sbin/sshd -D -e -f /etc/checkvalve/sshd_config
