find_package(Boost 1.81 REQUIRED COMPONENTS json)
target_link_libraries(${rung_target} PRIVATE Boost::json)
