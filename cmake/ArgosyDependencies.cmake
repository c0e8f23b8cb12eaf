# SPDX-License-Identifier: Apache-2.0
# Every library the project uses, found once, as imported targets; one line per optional feature.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

pkg_check_modules(zmq REQUIRED IMPORTED_TARGET libzmq>=4.3)
pkg_check_modules(msgpack REQUIRED IMPORTED_TARGET msgpack)
pkg_check_modules(protobufc REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4)
pkg_check_modules(sqlite REQUIRED IMPORTED_TARGET sqlite3>=3.37)
pkg_check_modules(hwloc REQUIRED IMPORTED_TARGET hwloc>=2.5)
pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson>=2.13)
pkg_check_modules(yaml REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(crypto REQUIRED IMPORTED_TARGET libcrypto>=3.0)
pkg_check_modules(curl REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(microhttpd REQUIRED IMPORTED_TARGET libmicrohttpd>=0.9.71)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(xml2 REQUIRED IMPORTED_TARGET libxml-2.0>=2.9.10)
if(BUILD_TESTING OR NOT DEFINED BUILD_TESTING)
  pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka)
endif()
find_program(PROTOC_C protoc-c REQUIRED)

# argosy_feature(name on|off text): remember one line for the summary that ends the configure step.
function(argosy_feature name state text)
  # A semicolon would split the list that remembers the lines.
  string(REPLACE ";" "," text "${text}")
  set_property(GLOBAL APPEND PROPERTY ARGOSY_FEATURES "${name}|${state}|${text}")
endfunction()

function(argosy_print_features)
  get_property(features GLOBAL PROPERTY ARGOSY_FEATURES)
  foreach(line IN LISTS features)
    string(REPLACE "|" ";" parts "${line}")
    list(GET parts 0 name)
    list(GET parts 1 state)
    list(GET parts 2 text)
    message(STATUS "feature ${name}: ${state} (${text})")
  endforeach()
endfunction()
