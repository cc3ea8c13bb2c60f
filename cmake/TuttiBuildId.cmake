# Writes OUTPUT, a header that defines TUTTI_BUILD_ID: a hash of all sources of the library under SOURCE. Run at every build; the header
# changes only when the sources do. Usage: cmake -DSOURCE=... -DOUTPUT=... -P TuttiBuildId.cmake
file(GLOB_RECURSE files RELATIVE ${SOURCE} ${SOURCE}/src/*.h ${SOURCE}/src/*.cc ${SOURCE}/transports/*.h ${SOURCE}/transports/*.cc
     ${SOURCE}/algorithms/*.h ${SOURCE}/algorithms/*.cc ${SOURCE}/include/*.h)
list(SORT files)
set(all "")
foreach(file IN LISTS files)
  file(SHA256 ${SOURCE}/${file} hash)
  string(APPEND all "${file} ${hash}\n")
endforeach()
string(SHA256 id "${all}")
string(SUBSTRING ${id} 0 12 id)
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define TUTTI_BUILD_ID \"${id}\"\n")
