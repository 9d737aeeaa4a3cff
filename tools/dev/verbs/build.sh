# build the program: build/checkvalve ("all" builds the test programs, too)
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build
mkdir -p build
# The tests need packages that a user of the program does not: they are configured only once they are there.
tests=OFF
if dpkg-query -W libgtest-dev >/dev/null 2>&1; then tests=ON; fi
configure_tree build -DCHECKVALVE_TESTS=$tests
build_tree build "${@:-checkvalve}"
say "built build/checkvalve"
