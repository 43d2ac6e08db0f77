# Vulkan headers that are new enough for llama.cpp: the system's, or where those are older what scripts/fetch-vulkan-headers
# unpacks. The loader is the system's; its soname serves where only the library is installed and not its -dev package.
find_package(Vulkan QUIET)
find_package(SPIRV-Headers CONFIG QUIET)
if(NOT Vulkan_FOUND OR NOT SPIRV-Headers_FOUND OR Vulkan_VERSION VERSION_LESS 1.3.275)
    message(STATUS "Fetching Vulkan headers (2 MB)")
    execute_process(
        COMMAND ${CMAKE_SOURCE_DIR}/scripts/fetch-vulkan-headers
        OUTPUT_VARIABLE headers OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    find_library(VULKAN_LOADER NAMES vulkan libvulkan.so.1 REQUIRED)
    set(Vulkan_LIBRARY ${VULKAN_LOADER} CACHE FILEPATH "" FORCE)
    set(Vulkan_INCLUDE_DIR ${headers}/include CACHE PATH "" FORCE)
    set(SPIRV-Headers_DIR ${headers}/share/cmake/SPIRV-Headers CACHE PATH "" FORCE)
endif()
