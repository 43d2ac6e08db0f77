find_package(OpenSSL REQUIRED)
target_link_libraries(${rung_target} PRIVATE OpenSSL::Crypto)
