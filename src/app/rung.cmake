# The program itself, with the web page inside.
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)  # its header alone: the library of the system throws
target_link_libraries(${rung_target} PRIVATE CLI11::CLI11)
include(${CMAKE_SOURCE_DIR}/cmake/web.cmake)
target_sources(${rung_target} PRIVATE ${web_assets})
add_executable(dunlin ${CMAKE_CURRENT_LIST_DIR}/main.cpp)
target_link_libraries(dunlin PRIVATE ${rung_target} CLI11::CLI11)
target_compile_definitions(${rung_target} PUBLIC DUNLIN_VERSION="${PROJECT_VERSION}")
set_target_properties(dunlin PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
if(TARGET ${rung_target}_test)
    target_compile_definitions(${rung_target}_test PRIVATE DUNLIN_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
endif()
