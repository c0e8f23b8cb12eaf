# SPDX-License-Identifier: Apache-2.0
# Writes a C header that gives every enum value its schema name: protobuf-c calls it
# API__EVENT_TYPE__EVENT_TYPE_TIMER_FIRED, the project's code EVENT_TYPE_TIMER_FIRED.
# Run with -DSCHEMA=enums.proto -DHEADER=enums.h.
file(STRINGS "${SCHEMA}" lines)
set(text "/* Written by cmake/EnumAliases.cmake from enums.proto. */\n#ifndef ARGOSY_API_ENUMS_H\n#define ARGOSY_API_ENUMS_H\n\n#include \"api/proto/enums.pb-c.h\"\n")
foreach(line IN LISTS lines)
  if(line MATCHES "^enum ([A-Za-z]+)")
    string(REGEX REPLACE "([a-z])([A-Z])" "\\1_\\2" prefix "${CMAKE_MATCH_1}")
    string(TOUPPER "${prefix}" prefix)
    string(APPEND text "\n")
  elseif(line MATCHES "^  ([A-Z0-9_]+) = ")
    string(APPEND text "#define ${CMAKE_MATCH_1} API__${prefix}__${CMAKE_MATCH_1}\n")
  endif()
endforeach()
string(APPEND text "\n#endif\n")
file(WRITE "${HEADER}" "${text}")
