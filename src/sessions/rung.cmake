find_package(SQLite3 REQUIRED)
target_link_libraries(${rung_target} PRIVATE SQLite::SQLite3)
