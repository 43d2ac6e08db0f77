find_package(Boost 1.81 REQUIRED)
target_link_libraries(${rung_target} PRIVATE Boost::headers)
