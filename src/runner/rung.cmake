# The conformance suite loads the tiny models of tests/data.
if(TARGET ${rung_target}_test)
    target_compile_definitions(${rung_target}_test PRIVATE
        DUNLIN_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data"
        DUNLIN_RUNNER_CHILD="$<TARGET_FILE:runner_child>")
    # What they start to host a Runner in a process of its own.
    add_executable(runner_child ${CMAKE_SOURCE_DIR}/tests/runner/child.cpp)
    target_link_libraries(runner_child PRIVATE ${rung_target})
    add_dependencies(${rung_target}_test runner_child)
endif()
# With llama.cpp or without: one of two files makes the runner, or says how to get it.
if(DUNLIN_LLAMACPP)
    target_link_libraries(${rung_target} PRIVATE llama)
    # llama-ext.h, which tells what memory the library took, and llama-arch.h, which models it knows: the pinned source
    # has no public way.
    target_include_directories(${rung_target} SYSTEM PRIVATE ${llamacpp_dir}/src)
    target_compile_definitions(${rung_target} PUBLIC DUNLIN_LLAMACPP)
    if(TARGET ${rung_target}_test)
        target_link_libraries(${rung_target}_test PRIVATE llama)
    endif()
    set(left_out not_built_in.cpp)
else()
    set(left_out llamacpp_runner.cpp llamacpp_load.cpp llamacpp_log.cpp devices.cpp
        vocabulary.cpp architectures.cpp)
endif()
list(TRANSFORM left_out PREPEND ${CMAKE_CURRENT_LIST_DIR}/llamacpp/)
set_source_files_properties(${left_out} PROPERTIES HEADER_FILE_ONLY ON)
