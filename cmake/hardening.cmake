# checkvalve_hardening: what makes a memory error end the program instead of being exploited. tests/e2e/test_hardening.py reads
# the built program for it. A sanitizer takes the place of all this. Flags that a compiler lacks are omitted.
include(CheckCXXCompilerFlag)
include(CheckPIESupported)

add_library(checkvalve_hardening INTERFACE)
if(CHECKVALVE_SANITIZE)
  target_compile_options(checkvalve_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all)
  target_link_options(checkvalve_options INTERFACE -fsanitize=address,undefined)
  if(CHECKVALVE_FUZZ)
    target_compile_options(checkvalve_options INTERFACE -fsanitize=fuzzer-no-link)
  endif()
  return()
endif()

if(CHECKVALVE_TSAN)
  target_compile_options(checkvalve_options INTERFACE -fsanitize=thread)
  target_link_options(checkvalve_options INTERFACE -fsanitize=thread)
  return()
endif()

if(CHECKVALVE_COVERAGE)
  # Named here, since tests start the program with an environment of their own. %m merges the runs of each program.
  set(profiles -fprofile-instr-generate=${CMAKE_BINARY_DIR}/profiles/%4m.profraw)
  target_compile_options(checkvalve_options INTERFACE ${profiles} -fcoverage-mapping)
  target_link_options(checkvalve_options INTERFACE ${profiles})
  return()
endif()

check_pie_supported(LANGUAGES CXX) # CMAKE_POSITION_INDEPENDENT_CODE then links with -pie, too
target_compile_definitions(checkvalve_options INTERFACE _GLIBCXX_ASSERTIONS)
foreach(flag
    -fstack-protector-strong
    -fstack-clash-protection
    -fcf-protection # x86 only
    -mbranch-protection=standard) # arm64 only
  string(MAKE_C_IDENTIFIER "HAS${flag}" has)
  check_cxx_compiler_flag("-Werror ${flag}" ${has})
  if(${has})
    target_compile_options(checkvalve_hardening INTERFACE ${flag})
  endif()
endforeach()
# glibc's checks are made by the optimiser. Some compilers define a lower level themselves.
target_compile_options(checkvalve_hardening INTERFACE
  $<$<CONFIG:RelWithDebInfo,Release,MinSizeRel>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>)
foreach(flag relro now noexecstack)
  check_linker_flag(CXX -Wl,-z,${flag} HAS_Z_${flag})
  if(HAS_Z_${flag})
    target_link_options(checkvalve_hardening INTERFACE -Wl,-z,${flag})
  endif()
endforeach()
