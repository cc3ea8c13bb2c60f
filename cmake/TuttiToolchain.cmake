# Warnings, sanitizers and ccache, and tutti_library(): how a folder becomes a target.
find_program(TUTTI_CCACHE ccache)
if(TUTTI_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER "${TUTTI_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${TUTTI_CCACHE}")
endif()

add_library(tutti_options INTERFACE)
target_compile_options(tutti_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
                       $<$<COMPILE_LANGUAGE:CXX>:-Wno-missing-field-initializers -Wnon-virtual-dtor>)
target_include_directories(tutti_options INTERFACE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}")
if(TUTTI_SANITIZE)
  target_compile_options(tutti_options INTERFACE -fsanitize=${TUTTI_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
  target_link_options(tutti_options INTERFACE -fsanitize=${TUTTI_SANITIZE})
endif()

# tutti_library(NAME SOURCES... ): a static library of one folder; it sees the whole tree's headers.
function(tutti_library name)
  add_library(${name} STATIC ${ARGN})
  target_link_libraries(${name} PUBLIC tutti_options)
endfunction()
