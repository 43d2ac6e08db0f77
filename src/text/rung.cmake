# The Rust crate: built by cargo from its committed lock file into one folder for all presets.
find_program(CARGO_PROGRAM NAMES cargo cargo-web REQUIRED HINTS $ENV{HOME}/.cargo/bin)
set(crate_dir ${CMAKE_SOURCE_DIR}/text)
set(cargo_dir ${CMAKE_SOURCE_DIR}/build/cargo)
set(crate_library ${cargo_dir}/release/libdunlin_text.a)
file(GLOB crate_sources CONFIGURE_DEPENDS ${crate_dir}/src/*.rs)
add_custom_command(OUTPUT ${crate_library}
    COMMAND ${CMAKE_COMMAND} -E env CARGO_TARGET_DIR=${cargo_dir}
            ${CARGO_PROGRAM} build --release --locked --quiet
    WORKING_DIRECTORY ${crate_dir}
    DEPENDS ${crate_sources} ${crate_dir}/Cargo.toml ${crate_dir}/Cargo.lock
    USES_TERMINAL
    COMMENT "Building the text crate (about two minutes the first time)")
add_custom_target(text_crate DEPENDS ${crate_library})
add_library(dunlin_text_crate STATIC IMPORTED)
set_target_properties(dunlin_text_crate PROPERTIES
    IMPORTED_LOCATION ${crate_library}
    INTERFACE_INCLUDE_DIRECTORIES ${crate_dir}/include)
add_dependencies(dunlin_text_crate text_crate)
add_dependencies(${rung_target} text_crate)
target_link_libraries(${rung_target} PRIVATE dunlin_text_crate ${CMAKE_DL_LIBS} m)
target_include_directories(${rung_target} PUBLIC ${crate_dir}/include)
