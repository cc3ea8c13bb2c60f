/** @file
 * Tutti's plug-ins: what a shared object of somebody else's has to bring. C99; docs/plugins.md is the guide, examples/tuner.c an example.
 *
 * A plug-in exports one function that returns a table. Every table begins with its size and its version, which are all that is read of it
 * before they are known to fit: a table of another version is refused by name; one that is longer than the library's is a newer plug-in's,
 * and what the library does not know of it is not used. Structures that the library hands to a plug-in begin with their size too: a plug-in
 * may use the fields that lie within it.
 *
 * A plug-in runs inside the process of whoever uses Tutti: it must not throw, exit, or wait for other ranks.
 *
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef TUTTI_PLUGIN_H_
#define TUTTI_PLUGIN_H_

#include <stddef.h>
#include <stdint.h>

#include "tutti/tutti.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Tuners. TUTTI_TUNER=/path/of.so or TUTTI_TUNER=NAME (libNAME's own file name, or libtutti-tuner-NAME.so on the linker's path) has
 * rank 0 of every communicator load one. It is asked once for every collective, root, size of element and power of two of bytes, at the
 * first such call, sees what the planner offers with its predicted costs, and may edit that. What comes of it rank 0 hands to all ranks, so
 * ranks cannot come to differ. It is not asked where TUTTI_ALGORITHM or a registered plan decides. ---- */

#define TUTTI_TUNER_VERSION 1u       /**< Of tuttiTuner_t and all that it is given. */
#define TUTTI_TUNER_NAME_BYTES 48    /**< Of an algorithm's name with its terminating 0. */
#define TUTTI_TUNER_REASON_BYTES 128 /**< Of a tuner's reason with its terminating 0. */

/** How bytes cross a connection. */
typedef enum {
  tuttiProtocolStaged = 0, /**< Payload apart from its flag: large messages. */
  tuttiProtocolInline = 1  /**< Payload and flag in one line: legal up to tuttiTunerRequest_t.mostInlineBytes. */
} tuttiProtocol_t;

/** What a tuner thinks of a row. */
typedef enum {
  tuttiVerdictNone = 0,     /**< It goes by its cost. */
  tuttiVerdictForbidden = 1, /**< It is not taken. */
  tuttiVerdictPreferred = 2  /**< It is taken before any that is not preferred; of several, the one that costs least. */
} tuttiVerdict_t;

/** The communicator that a tuner is for. */
typedef struct {
  size_t size;                       /**< Of this structure. */
  int nranks;                        /**< Ranks of the communicator. */
  int nnodes;                        /**< Hosts that they are on. */
  const char* transport;             /**< "shm", "tcp" or "shm+tcp". */
  const char* machine;               /**< The name of the machine's graph; "" where it has none. */
  void (*log)(const char* sentence); /**< Writes a line to Tutti's log, at the level info. Any thread. */
} tuttiTunerJob_t;

/** What is asked about. */
typedef struct {
  size_t size;                  /**< Of this structure. */
  tuttiCollective_t collective; /**< The collective. */
  int nranks;                   /**< Ranks of the communicator. */
  int nnodes;                   /**< Hosts that they are on. */
  int root;                     /**< The root; -1 where the collective has none. */
  int uneven;                   /**< 1: a v-form, whose blocks have counts of their own. Costs are as if all were of `bytes`. */
  int rankOrdered;              /**< 1: the reduction does not commute. */
  size_t typeBytes;             /**< Of an element. */
  size_t bytes;                 /**< Of a block (the call's count times typeBytes): the largest of those that the answer is for. */
  size_t mostInlineBytes;       /**< Up to which the inline protocol is there; 0: it is not. */
  double bound;                 /**< Microseconds: what the machine's links need at least. No plan is predicted to take less. */
} tuttiTunerRequest_t;

/** A choice and what it costs. */
typedef struct {
  char algorithm[TUTTI_TUNER_NAME_BYTES]; /**< As TUTTI_ALGORITHM spells it. */
  int channels;                           /**< 1 or more; as many as the algorithm has a use for at most. */
  int parameter;                          /**< The algorithm's own: 0, or one of those that it offers. */
  tuttiProtocol_t protocol;               /**< How its bytes travel. */
  uint32_t sliceBytes;                    /**< The most bytes of one message, 64 or more; 0: as many as fit. */
  tuttiVerdict_t verdict;                 /**< tuttiVerdictNone at first. */
  double predicted;                       /**< Microseconds, by simulation; negative: it was not simulated. For reading only. */
  double cost;                            /**< What the choice goes by, 0 or more, INFINITY for never; the least wins, of equals the first. At
                                               first `predicted`, INFINITY for what was not simulated; row 0's, which the planner would take, is
                                               never more than another's, so a table that is left alone changes nothing. */
  int64_t reserved[4];                    /**< 0. */
} tuttiTunerRow_t;

/** All choices for a request: row 0 is the planner's. */
typedef struct {
  size_t size;                           /**< Of this structure. */
  tuttiTunerRow_t* rows;                 /**< To be edited in place. */
  size_t count;                          /**< Rows there are. Rows may be added up to `capacity`, and this raised. */
  size_t capacity;                       /**< Room for rows. */
  char reason[TUTTI_TUNER_REASON_BYTES]; /**< "" at first. What the tuner says of its choice: tuttiCommExplain shows it. */
} tuttiTunerTable_t;

/** A tuner's table. */
typedef struct {
  size_t size;          /**< sizeof(tuttiTuner_t) of the header that the plug-in was built with. */
  unsigned int version; /**< TUTTI_TUNER_VERSION of that header. */
  const char* name;     /**< For people; not NULL. Lives as long as the plug-in. */
  /** Starts a tuner for one communicator; *context is handed to the other functions. May be NULL. Anything but tuttiSuccess: the
   * communicator goes on without a tuner, and says so in the log. `job` lives until it returns, what it points to until finish(). */
  tuttiResult_t (*init)(const tuttiTunerJob_t* job, void** context);
  /** Edits the table of one request. Called by one thread at a time for each communicator, in the thread that makes the call. Anything but
   * tuttiSuccess: the table is not looked at, and the planner's choice stands. A choice that cannot be made is an error of the call. */
  tuttiResult_t (*tune)(void* context, const tuttiTunerRequest_t* request, tuttiTunerTable_t* table);
  /** Ends it. May be NULL. Not called where init failed. */
  void (*finish)(void* context);
} tuttiTuner_t;

/** What a tuner's shared object exports. The table lives as long as the process: a plug-in is not unloaded. */
TUTTI_API const tuttiTuner_t* tuttiTunerPlugin(void);

#ifdef __cplusplus
}
#endif

#endif /* TUTTI_PLUGIN_H_ */
