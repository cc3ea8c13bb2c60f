// Whether this process has an MPI library, which shares the launcher's channel with us, and what then has to wait for the process's end.
// Threading: any thread.
#pragma once

namespace tutti {

// libmpi or libmpich is loaded, by whomever and however (mpi4py hides its symbols).
bool mpi_library_loaded();

}  // namespace tutti
