#include <new>

#include <cstdio>
#include <exception>

#include "cli/process.h"
#include "cli/program.h"

int main(int argc, char** argv) {
  try {
    checkvalve::prepare_process();
    return checkvalve::run_program(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("checkvalve: out of memory\n", stderr);
  } catch (const std::exception& bug) {
    std::fprintf(stderr, "checkvalve: internal error, please report it: %s\n", bug.what());
  }
  return 70; // EX_SOFTWARE: none of the contract's codes
}
