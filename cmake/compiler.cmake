# Compiler flags that hold for every target.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(dunlin_flags INTERFACE)
target_compile_options(dunlin_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast -Wno-sign-conversion
    $<$<BOOL:${DUNLIN_WERROR}>:-Werror>
    # What GCC says of its own intrinsics, of gtest's macros after an if, and of names that a unity build includes.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-dangling-else -Wno-subobject-linkage>
    # One accumulation order: the compiler must never fuse a multiply and an add on its own.
    -ffp-contract=off)
if(DUNLIN_SANITIZE)
    target_compile_options(dunlin_flags INTERFACE
        -fsanitize=${DUNLIN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(dunlin_flags INTERFACE -fsanitize=${DUNLIN_SANITIZE})
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_definitions(dunlin_flags INTERFACE _GLIBCXX_ASSERTIONS)
endif()

find_package(Threads REQUIRED)
target_link_libraries(dunlin_flags INTERFACE Threads::Threads)
