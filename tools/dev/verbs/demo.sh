# build, start two SFTP servers, watch three dated folders arrive from one on the other
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build demo
bash tools/dev/verbs/build.sh
exec /usr/bin/env python3 tools/dev/demo.py "$@"
