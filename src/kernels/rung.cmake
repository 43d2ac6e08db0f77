# One source a machine, each with its own instructions; chosen at run time.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/cpu/avx2.cpp PROPERTIES
        COMPILE_OPTIONS "-O3;-mavx2;-mfma;-mf16c")
    set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/cpu/avx512.cpp PROPERTIES
        COMPILE_OPTIONS "-O3;-mavx512f;-mavx512bw;-mavx512vl;-mavx512dq;-mavx512vnni;-mfma;-mf16c")
endif()
