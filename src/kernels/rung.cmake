# One source a machine, each with its own instructions; chosen at run time.
set(objects $<TARGET_OBJECTS:${rung_target}>)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/cpu/avx2.cpp PROPERTIES
        COMPILE_OPTIONS "-O3;-mavx2;-mfma;-mf16c")
    set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/cpu/avx_vnni.cpp PROPERTIES
        COMPILE_OPTIONS "-O3;-mavx2;-mfma;-mf16c;-mavxvnni")
    # GCC warns of its own headers, where a register is undefined on purpose.
    set(avx512 "-O3;-mavx512f;-mavx512bw;-mavx512vl;-mavx512dq;-mavx512vnni;-mfma;-mf16c;$<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized>")
    set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/cpu/avx512.cpp PROPERTIES COMPILE_OPTIONS "${avx512}")
    set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/cpu/avx512_bf16.cpp PROPERTIES
        COMPILE_OPTIONS "${avx512};-mavx512bf16")
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")  # see isa.h
        set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/cpu/amx.cpp PROPERTIES
            COMPILE_OPTIONS "${avx512};-mavx512bf16;-mamx-tile;-mamx-int8")
    endif()
    set(own_symbols
        Avx2LanesILb0E=$<FILTER:${objects},INCLUDE,/avx2\\.cpp>
        Avx2LanesILb1E=$<FILTER:${objects},INCLUDE,/avx_vnni\\.cpp>
        Avx512LanesILb0E=$<FILTER:${objects},INCLUDE,/avx512\\.cpp>
        Avx512LanesILb1E=$<FILTER:${objects},INCLUDE,/avx512_bf16\\.cpp>
        Avx512LanesILb1E=$<FILTER:${objects},INCLUDE,/amx\\.cpp>)
    # Of AMX the sums of tiles come through memory: there is no other way.
    set(in_registers $<FILTER:${objects},INCLUDE,/cpu/avx>)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/cpu/neon.cpp PROPERTIES COMPILE_OPTIONS -O3)
    set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/cpu/neon_dot.cpp PROPERTIES
        COMPILE_OPTIONS "-O3;-march=armv8.2-a+dotprod")
    set(own_symbols
        NeonLanesILb0E=$<FILTER:${objects},INCLUDE,/neon\\.cpp>
        NeonLanesILb1E=$<FILTER:${objects},INCLUDE,/neon_dot\\.cpp>)
    set(in_registers $<FILTER:${objects},INCLUDE,/cpu/neon>)
endif()

# Without optimisation nothing is inlined, and the library's own templates are everywhere. The interpreter goes by its
# path: as a target it would be run as what was built is, under an emulator.
if(own_symbols AND DUNLIN_TESTS AND CMAKE_BUILD_TYPE STREQUAL "Release")
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    add_test(NAME kernels_symbols COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/own_symbols.py ${CMAKE_NM}
        ${own_symbols})
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_OBJDUMP)
        add_test(NAME kernels_spills COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/spills.py ${CMAKE_OBJDUMP}
            ${in_registers} COMMAND_EXPAND_LISTS)
    endif()
endif()
