# What the compiler and the linker are asked for, the same for every target (the precompiled header
# is shared, so flags may not differ between targets).

find_program(SOUK_CCACHE ccache)
if(SOUK_CCACHE)
  # ccache refuses precompiled headers unless told that their time stamps and defines don't matter.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_NOHASHDIR=1 ${SOUK_CCACHE})
  add_compile_options(-fpch-preprocess)
endif()

find_program(SOUK_MOLD mold)
if(SOUK_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wno-missing-field-initializers -Werror=return-type
                    -Werror=unused-result -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
if(SOUK_SANITIZE)
  add_compile_options(-fsanitize=${SOUK_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${SOUK_SANITIZE})
endif()
if(SOUK_FAILPOINTS)
  add_compile_definitions(SOUK_FAILPOINTS)
endif()

find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(OpenSSL REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(fmt REQUIRED)
find_package(ZLIB REQUIRED)
find_package(date REQUIRED)
find_package(Threads REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)

# Boost.Asio and Boost.Beast are compiled once, in src/boost, not in every file.
add_compile_definitions(BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
                        BOOST_ASIO_NO_DEPRECATED)
