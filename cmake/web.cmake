# The page, built by npm into one folder for all presets, as a source file that holds its files:
# ${web_assets}. With DUNLIN_WEB=OFF it holds none, and `/` is 404.
set(web_assets ${CMAKE_BINARY_DIR}/web_assets.cpp)
set(web_embed ${CMAKE_SOURCE_DIR}/tools/embed_assets.py)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
if(NOT DUNLIN_WEB)
    add_custom_command(OUTPUT ${web_assets}
        COMMAND Python3::Interpreter ${web_embed} ${web_assets}
        DEPENDS ${web_embed})
    return()
endif()

find_program(NPM_PROGRAM npm HINTS ${CMAKE_SOURCE_DIR}/build/node/bin)
if(NOT NPM_PROGRAM)
    message(FATAL_ERROR "npm is missing, which builds the web page: run scripts/setup, install Node.js 18 "
        "or newer with npm, or build without the page: -DDUNLIN_WEB=OFF")
endif()
set(web_source ${CMAKE_SOURCE_DIR}/web)
set(web_dist ${CMAKE_SOURCE_DIR}/build/web/dist)
file(GLOB_RECURSE web_sources CONFIGURE_DEPENDS ${web_source}/src/*)
list(FILTER web_sources EXCLUDE REGEX "\\.test\\.ts$")
add_custom_command(OUTPUT ${web_assets}
    COMMAND ${CMAKE_COMMAND} -D SOURCE=${web_source} -D DIST=${web_dist} -D NPM=${NPM_PROGRAM}
            -D PYTHON=${Python3_EXECUTABLE} -D EMBED=${web_embed} -D OUT=${web_assets}
            -P ${CMAKE_SOURCE_DIR}/cmake/build_web.cmake
    DEPENDS ${web_sources} ${web_embed} ${CMAKE_SOURCE_DIR}/cmake/build_web.cmake
            ${web_source}/index.html ${web_source}/package-lock.json ${web_source}/vite.config.ts
    COMMENT "Building the web page")
