# SPDX-License-Identifier: Apache-2.0
# How tests and fuzz targets are declared. Exit status 77 is a visible skip; every test has a timeout.

# argosy_test(name SOURCES ... [LIBS ...] [TIMEOUT s] [LABELS ...] [ARGS ...] [SERIAL]): a cmocka
# program run by CTest. ARGOSY_BIN_DIR tells it where the project's programs are.
function(argosy_test name)
  cmake_parse_arguments(arg "SERIAL" "TIMEOUT" "SOURCES;LIBS;LABELS;ARGS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE argosy_compiler ${arg_LIBS} PkgConfig::cmocka)
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS})
  argosy_test_properties(${name} "${arg_TIMEOUT}" "${arg_LABELS}" "${arg_SERIAL}")
endfunction()

# argosy_script_test(name SCRIPT file [TIMEOUT s] [LABELS ...] [SERIAL]): a bats file run by CTest.
function(argosy_script_test name)
  cmake_parse_arguments(arg "SERIAL" "TIMEOUT;SCRIPT" "LABELS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  find_program(BATS_PROGRAM bats REQUIRED)
  add_test(NAME ${name} COMMAND ${BATS_PROGRAM} "${CMAKE_CURRENT_SOURCE_DIR}/${arg_SCRIPT}")
  argosy_test_properties(${name} "${arg_TIMEOUT}" "${arg_LABELS}" "${arg_SERIAL}")
endfunction()

# argosy_python_test(name SCRIPT file [TIMEOUT s] [LABELS ...]): a Python script run by CTest with the
# folder of the programs.
function(argosy_python_test name)
  cmake_parse_arguments(arg "" "TIMEOUT;SCRIPT" "LABELS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  find_program(PYTHON_PROGRAM python3 REQUIRED)
  add_test(NAME ${name} COMMAND ${PYTHON_PROGRAM} "${CMAKE_CURRENT_SOURCE_DIR}/${arg_SCRIPT}"
    "${CMAKE_BINARY_DIR}/bin")
  argosy_test_properties(${name} "${arg_TIMEOUT}" "${arg_LABELS}" "")
endfunction()

function(argosy_test_properties name timeout labels serial)
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${timeout} SKIP_RETURN_CODE 77 LABELS "${labels}"
    ENVIRONMENT "ARGOSY_HTTP_LISTEN=127.0.0.1:0;ARGOSY_BIN_DIR=${CMAKE_BINARY_DIR}/bin;ARGOSY_SOURCE_DIR=${CMAKE_SOURCE_DIR};ARGOSY_BUILD_DIR=${CMAKE_BINARY_DIR};ASAN_OPTIONS=detect_stack_use_after_return=0;TSAN_OPTIONS=halt_on_error=1 suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp;LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/lsan.supp")
  if(serial)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
endfunction()

# argosy_fuzz(name SOURCES ... [LIBS ...]): a fuzz target. With ARGOSY_FUZZ (clang) it is a libFuzzer
# program; otherwise it is linked with a driver that runs the corpus in tests/fuzz/corpus/<name>, so
# that what once crashed is tried by every test run.
function(argosy_fuzz name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  if(ARGOSY_FUZZ)
    add_executable(${name} ${arg_SOURCES})
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer,address,undefined)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer,address,undefined)
    # New finds go to the first folder: not into the source tree.
    file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz_corpus/${name}")
    add_test(NAME ${name} COMMAND ${name} -runs=20000 -max_total_time=20
      "${CMAKE_BINARY_DIR}/fuzz_corpus/${name}" "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name}")
  else()
    add_executable(${name} ${arg_SOURCES} "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus_main.c")
    add_test(NAME ${name} COMMAND ${name} "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name}")
  endif()
  target_link_libraries(${name} PRIVATE argosy_compiler ${arg_LIBS})
  argosy_test_properties(${name} 120 "fuzz" "")
endfunction()
