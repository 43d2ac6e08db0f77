# Builds web/ into the folder DIST and writes its files as the source file OUT:
# cmake -D SOURCE=web -D DIST=folder -D NPM=npm -D PYTHON=python3 -D EMBED=embed_assets.py -D OUT=x.cpp -P build_web.cmake
# All presets share node_modules and DIST, so one build at a time.
get_filename_component(parent ${DIST} DIRECTORY)
file(MAKE_DIRECTORY ${parent})
file(LOCK ${parent}/web.lock GUARD PROCESS TIMEOUT 600)

# npm's scripts look for node on the path; it lies beside npm.
get_filename_component(programs ${NPM} DIRECTORY)
set(ENV{PATH} "${programs}:$ENV{PATH}")

function(run_npm)
    execute_process(COMMAND ${NPM} ${ARGV} WORKING_DIRECTORY ${SOURCE}
        RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT result EQUAL 0)
        string(REPLACE ";" " " command "${ARGV}")
        message(FATAL_ERROR "npm ${command} failed in ${SOURCE} (to build without the page: "
            "-DDUNLIN_WEB=OFF):\n${output}")
    endif()
endfunction()

set(installed ${SOURCE}/node_modules/.package-lock.json)  # npm writes it last
if(NOT EXISTS ${installed} OR ${SOURCE}/package-lock.json IS_NEWER_THAN ${installed})
    run_npm(ci --omit=dev --loglevel=error)
endif()
run_npm(run --silent build -- --outDir ${DIST} --emptyOutDir --logLevel warn)
execute_process(COMMAND ${PYTHON} ${EMBED} ${OUT} ${DIST} COMMAND_ERROR_IS_FATAL ANY)
