/* CHECK(call): ends the program with the library's sentence when a Tutti call fails. */
#ifndef TUTTI_EXAMPLES_CHECK_H_
#define TUTTI_EXAMPLES_CHECK_H_

#include <stdio.h>
#include <stdlib.h>

#include "tutti/tutti.h"

#define CHECK(call)                                                                           \
  do {                                                                                        \
    tuttiResult_t result_ = (call);                                                           \
    if (result_ != tuttiSuccess) {                                                            \
      fprintf(stderr, "%s: %s\n", tuttiGetErrorString(result_), tuttiGetLastError(NULL));   \
      exit(1);                                                                                \
    }                                                                                         \
  } while (0)

#endif
