# One static library a rung, linked as src/LADDER allows, and one test program beside it.
#
# Every .cpp below src/<rung>/ belongs to the rung, *_test.cpp to its tests: a new file needs no
# line here. What a rung needs from outside (libraries, flags for one file) stands in
# src/<rung>/rung.cmake, which sees ${rung_target}, and ${rung_target}_test as a name.

function(dunlin_add_rungs source_dir)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source_dir}/LADDER)
    file(STRINGS ${source_dir}/LADDER lines)
    file(STRINGS ${source_dir}/LADDER bare REGEX "^runner:")
    string(REGEX REPLACE "#.*$" "" bare "${bare}")
    string(REGEX MATCHALL "[a-z_]+" bare "${bare}")  # the runner, and what it stands on
    foreach(line IN LISTS lines)
        string(REGEX REPLACE "#.*$" "" line "${line}")
        if(line MATCHES "^([a-z_]+): *(.*)$")
            set(rung ${CMAKE_MATCH_1})
            string(STRIP "${CMAKE_MATCH_2}" lower)
            separate_arguments(lower)
            if(IS_DIRECTORY ${source_dir}/${rung} AND (NOT DUNLIN_BARE OR rung IN_LIST bare))
                dunlin_add_rung(${source_dir} ${rung} "${lower}")
            endif()
        endif()
    endforeach()
endfunction()

function(dunlin_add_rung source_dir rung lower)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${source_dir}/${rung}/*.cpp)
    set(tests ${sources})
    list(FILTER sources EXCLUDE REGEX "_test\\.cpp$|/main\\.cpp$")
    list(FILTER tests INCLUDE REGEX "_test\\.cpp$")

    set(rung_target dunlin_${rung})
    if(sources)
        add_library(${rung_target} STATIC ${sources})
        set(scope PUBLIC)
    else()
        add_library(${rung_target} INTERFACE)
        set(scope INTERFACE)
    endif()
    target_include_directories(${rung_target} ${scope} ${source_dir})
    target_link_libraries(${rung_target} ${scope} dunlin_flags)
    foreach(name IN LISTS lower)
        if(TARGET dunlin_${name})
            target_link_libraries(${rung_target} ${scope} dunlin_${name})
        endif()
    endforeach()

    if(DUNLIN_TESTS AND tests)
        add_executable(${rung_target}_test ${tests})
        target_link_libraries(${rung_target}_test PRIVATE
            ${rung_target} GTest::gmock GTest::gtest_main)
        add_test(NAME ${rung} COMMAND ${rung_target}_test --gtest_brief=1)
    endif()
    if(EXISTS ${source_dir}/${rung}/rung.cmake)
        include(${source_dir}/${rung}/rung.cmake)
    endif()
endfunction()
