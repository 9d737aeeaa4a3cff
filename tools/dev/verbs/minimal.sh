# build the program without S3, PostgreSQL and transforms in build-minimal/, check what it links and how it refuses these
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test
mkdir -p build-minimal
# -O0: its speed is of no interest.
configure_tree build-minimal -DCHECKVALVE_S3=OFF -DCHECKVALVE_POSTGRES=OFF -DCHECKVALVE_TRANSFORMS= -DCHECKVALVE_TESTS=OFF \
  -DCMAKE_BUILD_TYPE=None "-DCMAKE_CXX_FLAGS=-O0"
build_tree build-minimal checkvalve
say "the program without its optional components"
CHECKVALVE_PROGRAM="$PWD/build-minimal/checkvalve" "$(test_python)" -m pytest -c tests/pytest.ini --rootdir . \
  tests/e2e/minimal.py "$@"
