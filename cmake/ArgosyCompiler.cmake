# SPDX-License-Identifier: Apache-2.0
# Compiler settings that every target of the project shares.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "build type" FORCE)
endif()
# Assertions of the project's own (common/assert.h) stay on in every build type.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
endif()

add_library(argosy_compiler INTERFACE)
target_compile_definitions(argosy_compiler INTERFACE _GNU_SOURCE)
target_include_directories(argosy_compiler INTERFACE "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}")
target_compile_options(argosy_compiler INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wvla -Wundef -Wformat=2 -Wpointer-arith
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wno-format-nonliteral
  -fno-omit-frame-pointer -fstack-protector-strong)
target_link_options(argosy_compiler INTERFACE -Wl,--as-needed)

if(ARGOSY_SANITIZE)
  add_compile_options(-fsanitize=${ARGOSY_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ARGOSY_SANITIZE})
endif()

# A fuzzer that does not see which branches of the libraries it reached only guesses.
if(ARGOSY_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

# Installed binaries find their libraries beside them: the installed tree can be moved.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib")
include(GNUInstallDirs)

# argosy_library(name SOURCES ... [LIBS ...]): a static library of the project.
function(argosy_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC argosy_compiler ${arg_LIBS})
endfunction()

# argosy_program(name SOURCES ... [LIBS ...]): an installed binary.
function(argosy_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE argosy_compiler ${arg_LIBS})
  # All programs land in one folder of the build tree, as they do when installed: they find each
  # other beside themselves.
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()
