# run the container stack as shipped and its scenarios in it; [--postgres] [--compose-v2]; root, unless Docker runs here
source tools/dev/common.sh

# Docker that works here is left as it is.
docker info >/dev/null 2>&1 || bash tools/dev/verbs/setup.sh compose
exec bash tests/compose/run.sh "$@"
