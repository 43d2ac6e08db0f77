# llama.cpp as static libraries, from the source that the crate pinned in third_party/llamacpp carries.
#
# cargo checks the crate against the committed lock file and unpacks it into build/vendor, once for all
# presets; llama.cpp's own CMake files then build ggml and llama, and nothing else of it.
option(DUNLIN_LLAMACPP_NATIVE "llama.cpp for the instruction sets of this machine only: OFF for packages" ON)

find_program(CARGO_PROGRAM NAMES cargo cargo-web REQUIRED HINTS $ENV{HOME}/.cargo/bin)
set(pin_dir ${CMAKE_SOURCE_DIR}/third_party/llamacpp)
set(vendor_dir ${CMAKE_SOURCE_DIR}/build/vendor)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${pin_dir}/Cargo.toml ${pin_dir}/Cargo.lock)
file(SHA256 ${pin_dir}/Cargo.lock lock_hash)
set(unpacked "")
if(EXISTS ${vendor_dir}/unpacked)
    file(READ ${vendor_dir}/unpacked unpacked)
endif()
if(NOT unpacked STREQUAL lock_hash)
    message(STATUS "Fetching llama.cpp's source (10 MB) through cargo")
    execute_process(
        COMMAND ${CARGO_PROGRAM} vendor --quiet --locked --versioned-dirs ${vendor_dir}
        WORKING_DIRECTORY ${pin_dir} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
    file(WRITE ${vendor_dir}/unpacked ${lock_hash})
endif()
file(GLOB llamacpp_dir ${vendor_dir}/llama-cpp-sys-2-*/llama.cpp)
list(LENGTH llamacpp_dir found)
if(NOT found EQUAL 1)
    message(FATAL_ERROR "${vendor_dir} should hold one llama.cpp and holds ${found}: delete the folder and configure again")
endif()

# Backends are switched on by llama.cpp's own variables: GGML_VULKAN (needs glslc and a Vulkan loader), GGML_CUDA (needs
# nvcc; CMAKE_CUDA_ARCHITECTURES says for which cards), GGML_METAL (its default on macOS).
if(GGML_VULKAN)
    include(vulkan_headers)
endif()

# A function, so that what is set for llama.cpp alone is not set for us.
function(dunlin_add_llamacpp source_dir)
    set(BUILD_SHARED_LIBS OFF)
    set(CMAKE_CXX_STANDARD 17) # it is not C++23 with libstdc++ 12
    set(CMAKE_MESSAGE_LOG_LEVEL WARNING)
    set(GGML_NATIVE ${DUNLIN_LLAMACPP_NATIVE} CACHE BOOL "" FORCE)
    set(GGML_OPENMP OFF CACHE BOOL "" FORCE)
    set(GGML_CCACHE OFF CACHE BOOL "" FORCE) # cmake/compiler.cmake has switched ccache on already
    foreach(part COMMON TESTS TOOLS EXAMPLES SERVER APP UI MTMD)
        set(LLAMA_BUILD_${part} OFF CACHE BOOL "" FORCE)
    endforeach()
    add_subdirectory(${source_dir} ${CMAKE_BINARY_DIR}/llamacpp EXCLUDE_FROM_ALL SYSTEM)
    # libstdc++ 12 uses there what it calls deprecated itself.
    set_source_files_properties(${source_dir}/src/llama-model-loader.cpp ${source_dir}/src/llama-model.cpp
        TARGET_DIRECTORY llama PROPERTIES COMPILE_OPTIONS -Wno-deprecated-declarations)
endfunction()
dunlin_add_llamacpp(${llamacpp_dir})
