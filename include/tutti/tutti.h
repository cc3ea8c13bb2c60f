/** @file
 * Tutti: portable collective communication. The public C API (C99).
 *
 * One communicator joins `n` ranks; every rank makes the same calls in the same order. The names and shapes follow NCCL's, with
 * the prefix `tutti`. Every function returns a tuttiResult_t, never throws, prints or exits; tuttiGetLastError() says in a sentence
 * what went wrong, where, and what to do.
 *
 * Threads: one thread at a time uses a communicator, except tuttiCommAbort, tuttiCommGetAsyncError and tuttiGetLastError, which
 * any thread may call. Different communicators are independent. Ranks of one communicator may live in one process, as threads, or
 * may be driven by a single thread inside a group.
 *
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef TUTTI_TUTTI_H_
#define TUTTI_TUTTI_H_

#include <stddef.h>
#include <stdint.h>

#define TUTTI_MAJOR 0 /**< The version of this header: a new one may break programs. */
#define TUTTI_MINOR 1 /**< A new one may add to the API. */
#define TUTTI_PATCH 0 /**< A new one changes nothing in the API. */
/** The version of this header as one number, comparable with tuttiGetVersion()'s. */
#define TUTTI_VERSION_CODE (TUTTI_MAJOR * 10000 + TUTTI_MINOR * 100 + TUTTI_PATCH)

#if defined(_WIN32)
#define TUTTI_API
#else
/** Marks what the library exports. */
#define TUTTI_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** One rank's handle of a communicator. Opaque. */
typedef struct tuttiComm* tuttiComm_t;

/** A device's own stream handle. On host ranks NULL means: complete on return, run by the calling thread, after all that was submitted to
 * the communicator before. A stream from tuttiStreamCreate means: ordered behind what the stream holds, asynchronous; errors then show in
 * tuttiStreamSynchronize and tuttiCommGetAsyncError. Buffers are the library's until the operation is complete. */
typedef void* tuttiStream_t;

/** What every function returns. The numbers are NCCL's where NCCL has the code. */
typedef enum {
  tuttiSuccess = 0,
  tuttiSystemError = 2,     /**< The operating system refused something: memory, sockets, descriptors. */
  tuttiInternalError = 3,   /**< A defect in Tutti. */
  tuttiInvalidArgument = 4, /**< One argument is wrong by itself: null, out of range, unknown type. */
  tuttiInvalidUsage = 5,    /**< The call is wrong here: order, group, mismatch between ranks, unusable communicator. */
  tuttiRemoteError = 6,     /**< Another rank died, left or aborted. */
  tuttiInProgress = 7,      /**< Not an error: the communicator is still working. */
  tuttiTimeout = 8,         /**< A bound of waiting passed; the message lists who never came. */
  tuttiAborted = 9          /**< This communicator was aborted by tuttiCommAbort(). */
} tuttiResult_t;

/** Element types. The numbers are NCCL's where NCCL has the type. float8 are OCP's: e4m3 saturates to +-448, e5m2 overflows to infinity.
 * 16- and 8-bit floats are reduced in float32 and rounded to nearest even. */
typedef enum {
  tuttiInt8 = 0,
  tuttiUint8 = 1,
  tuttiInt32 = 2,
  tuttiUint32 = 3,
  tuttiInt64 = 4,
  tuttiUint64 = 5,
  tuttiFloat16 = 6,
  tuttiFloat32 = 7,
  tuttiFloat64 = 8,
  tuttiBfloat16 = 9,
  tuttiFloat8e4m3 = 10,
  tuttiFloat8e5m2 = 11,
  tuttiInt16 = 12,
  tuttiUint16 = 13,
  /* NCCL's other names */
  tuttiChar = 0,
  tuttiInt = 2,
  tuttiHalf = 6,
  tuttiFloat = 7,
  tuttiDouble = 8
} tuttiDataType_t;

/** Reductions. The numbers are NCCL's. tuttiRedOpCreate... make further ones. Average divides once, at the end: integers truncate toward
 * zero after the exact wrapped sum. A NaN result is one quiet NaN; -0 < +0. */
typedef enum {
  tuttiSum = 0,
  tuttiProd = 1,
  tuttiMax = 2,
  tuttiMin = 3,
  tuttiAvg = 4,
  tuttiRedOpLast = 0x7fffffff /**< No reduction: keeps the enumeration wide enough for created ones. */
} tuttiRedOp_t;

/** The collectives, where a function takes one as an argument. */
typedef enum {
  tuttiCollectiveAllReduce = 0,
  tuttiCollectiveAllGather = 1,
  tuttiCollectiveReduceScatter = 2,
  tuttiCollectiveBroadcast = 3,
  tuttiCollectiveReduce = 4,
  tuttiCollectiveGather = 5,
  tuttiCollectiveScatter = 6,
  tuttiCollectiveAllToAll = 7,
  tuttiCollectiveBarrier = 8
} tuttiCollective_t;

/** A reduction of the caller's: result[i] = left[i] op right[i], 0 <= i < count. `result` may be `left` or `right` itself. It must be
 * associative; called from the thread that runs the operation. */
typedef void (*tuttiReduceFunction_t)(const void* left, const void* right, void* result, size_t count, tuttiDataType_t datatype, void* context);

#define TUTTI_UNIQUE_ID_BYTES 128 /**< sizeof(tuttiUniqueId) */
/** Names one communicator to be: where its ranks meet, and the 256-bit key that lets them in. Treat it as a secret. */
typedef struct {
  char internal[TUTTI_UNIQUE_ID_BYTES]; /**< Opaque; copy it whole. */
} tuttiUniqueId;

/** Leave a field to the library (or to its TUTTI_ variable). */
#define TUTTI_CONFIG_UNSET (-1)

/** Per-communicator settings. Always start from TUTTI_CONFIG_INITIALIZER, so that programs built against an older header keep working:
 * `size` tells the library which fields exist. A field left at TUTTI_CONFIG_UNSET takes the value of its TUTTI_ variable, else the
 * default; `tutti-topo env` lists them all. */
typedef struct {
  size_t size;             /**< Set by the initializer. */
  unsigned int magic;      /**< Set by the initializer. */
  unsigned int version;    /**< Set by the initializer: of the header that the program was built with. */
  double initTimeout;      /**< Seconds to wait for all ranks at init; 0 = no bound. Default 120. (TUTTI_INIT_TIMEOUT) */
  double timeout;          /**< Seconds an operation may wait for its peers; 0 = no bound. Default 300. (TUTTI_TIMEOUT) */
  double spin;             /**< Microseconds to spin before yielding. Default 50, or 0 where ranks outnumber cores. (TUTTI_SPIN) */
  double yield;            /**< Microseconds to yield the core before sleeping. Default 5000. (TUTTI_YIELD) */
  const char* algorithm;   /**< Force one: NAME[:CHANNELS[:PARAMETER]], e.g. "ring:2"; NULL = TUTTI_ALGORITHM, else the planner chooses. */
  const char* device;      /**< What holds the buffers of this rank's calls: "host" (NULL means that too). Ranks may differ. An unknown
                              name is refused, and the message lists those there are. Split: NULL = the parent's. */
} tuttiConfig_t;

#define TUTTI_CONFIG_MAGIC 0x74757469u /**< What tells a config from uninitialised memory. */
/** The value that every tuttiConfig_t starts from: nothing set. */
#define TUTTI_CONFIG_INITIALIZER                                                                                          \
  {                                                                                                                      \
    sizeof(tuttiConfig_t), TUTTI_CONFIG_MAGIC, TUTTI_VERSION_CODE, TUTTI_CONFIG_UNSET, TUTTI_CONFIG_UNSET,               \
        TUTTI_CONFIG_UNSET, TUTTI_CONFIG_UNSET, NULL, NULL                                                               \
  }

/** The version of the library that is running, as TUTTI_VERSION_CODE. */
TUTTI_API tuttiResult_t tuttiGetVersion(int* version);

/** A fixed English name of a result. Never NULL; the string lives forever. Any thread. */
TUTTI_API const char* tuttiGetErrorString(tuttiResult_t result);

/** The last error's full sentence: of `comm`, or with NULL of the calling thread's last failed call. Never NULL; valid until the calling
 * thread's next call of this function. Any thread. */
TUTTI_API const char* tuttiGetLastError(tuttiComm_t comm);

/** Makes the id of one new communicator and starts listening for its ranks in this process, which has to live until all have joined.
 * Hand the 128 bytes to every rank by any means that keeps them secret. Any thread. */
TUTTI_API tuttiResult_t tuttiGetUniqueId(tuttiUniqueId* id);

/** Joins `nranks` ranks (each calling once with its own `rank`, 0 <= rank < nranks) into a communicator. Blocks until all have
 * come or the init timeout passes; then the error lists the ranks that never came. Inside a group, several may be started by one thread;
 * GroupEnd completes them and sets the handles. On failure *comm is NULL. */
TUTTI_API tuttiResult_t tuttiCommInitRank(tuttiComm_t* comm, int nranks, tuttiUniqueId id, int rank);

/** As tuttiCommInitRank, with settings. `config` may be NULL. */
TUTTI_API tuttiResult_t tuttiCommInitRankConfig(tuttiComm_t* comm, int nranks, tuttiUniqueId id, int rank, const tuttiConfig_t* config);

/** Makes all `ndev` ranks of a communicator in this process; comms[i] becomes rank i's handle. `devlist` must be NULL: all ranks are
 * host ranks. Use each handle from a thread of its own, or drive several from one thread inside a group. */
TUTTI_API tuttiResult_t tuttiCommInitAll(tuttiComm_t* comms, int ndev, const int* devlist);

/** Joins the job that a launcher started this process in: tutti-run, mpirun of Open MPI or MPICH, srun or torchrun, found by their
 * environment (docs/launchers.md; TUTTI_LAUNCHER forces one). `config` may be NULL. Without a launcher: a communicator of one rank. All ranks
 * call it equally often, each time for a new communicator of the whole job. Blocks until all have come, within the init timeout. */
TUTTI_API tuttiResult_t tuttiCommInitFromEnv(tuttiComm_t* comm, const tuttiConfig_t* config);

#define TUTTI_SPLIT_NOCOLOR (-1) /**< The color of a rank that comes into no new communicator. */
/** Splits a communicator: ranks of equal `color` (0 or more) form a new one, ordered by `key`, then by their rank. All ranks of `comm` call it; one
 * with color TUTTI_SPLIT_NOCOLOR takes part and gets NULL. `config` may be NULL: the parent's settings. Not inside a group. The new one shares
 * the connections of `comm` where the transport can, and lives on when `comm` is destroyed. */
TUTTI_API tuttiResult_t tuttiCommSplit(tuttiComm_t comm, int color, int key, tuttiComm_t* newcomm, const tuttiConfig_t* config);

/** What tuttiCommMemStats tells, in bytes of this rank's host memory. */
typedef enum {
  tuttiMemTotal = 0,       /**< tuttiMemConnections + tuttiMemScratch. */
  tuttiMemConnections = 1, /**< FIFOs into this rank, made at their first use. */
  tuttiMemScratch = 2,     /**< Temporary results of algorithms that need them. */
  tuttiMemBudget = 3       /**< The most that tuttiMemTotal may reach (TUTTI_MEMORY). */
} tuttiMemStat_t;

/** *value: what the communicator uses now. Any thread. Errors: tuttiInvalidArgument. */
TUTTI_API tuttiResult_t tuttiCommMemStats(tuttiComm_t comm, tuttiMemStat_t stat, uint64_t* value);

/** Tells the peers that this rank will make no more calls; afterwards only Destroy, Abort and the queries are legal. Does not block. */
TUTTI_API tuttiResult_t tuttiCommFinalize(tuttiComm_t comm);

/** Frees the handle (finalizing it first where that was not done). NULL is legal. Does not wait for peers. */
TUTTI_API tuttiResult_t tuttiCommDestroy(tuttiComm_t comm);

/** Makes a call that is blocked in another thread return tuttiAborted, tells the peers, and frees the handle. */
TUTTI_API tuttiResult_t tuttiCommAbort(tuttiComm_t comm);

/** *result becomes the communicator's first error, or tuttiSuccess. Any thread. */
TUTTI_API tuttiResult_t tuttiCommGetAsyncError(tuttiComm_t comm, tuttiResult_t* result);

/** *count becomes the number of ranks. */
TUTTI_API tuttiResult_t tuttiCommCount(tuttiComm_t comm, int* count);

/** *rank becomes this handle's rank. */
TUTTI_API tuttiResult_t tuttiCommUserRank(tuttiComm_t comm, int* rank);

/* ---- Collectives. Common to all: counts are in elements, the same on all ranks unless said otherwise; 0 is legal (buffers may then be
 * NULL); buffers are aligned to the element; the buffers of one call do not overlap but for the in-place form named here. ---- */

/** recvbuff[i] = reduction of all ranks' sendbuff[i], 0 <= i < count, the same bits on every rank and in every run. In place:
 * sendbuff == recvbuff. */
TUTTI_API tuttiResult_t tuttiAllReduce(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype,
                                       tuttiRedOp_t op, tuttiComm_t comm, tuttiStream_t stream);

/** recvbuff on every rank: all ranks' sendbuff (sendcount elements each), by rank. In place: sendbuff == recvbuff + rank * sendcount. */
TUTTI_API tuttiResult_t tuttiAllGather(const void* sendbuff, void* recvbuff, size_t sendcount, tuttiDataType_t datatype, tuttiComm_t comm,
                                       tuttiStream_t stream);

/** recvbuff (recvcount elements): the reduction of all ranks' block `rank` of sendbuff (nranks * recvcount elements). In place:
 * recvbuff == sendbuff + rank * recvcount. */
TUTTI_API tuttiResult_t tuttiReduceScatter(const void* sendbuff, void* recvbuff, size_t recvcount, tuttiDataType_t datatype, tuttiRedOp_t op,
                                           tuttiComm_t comm, tuttiStream_t stream);

/** recvbuff on every rank: rank root's sendbuff, which the others may leave NULL. In place: sendbuff == recvbuff. */
TUTTI_API tuttiResult_t tuttiBroadcast(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root,
                                       tuttiComm_t comm, tuttiStream_t stream);

/** tuttiBroadcast in place. */
TUTTI_API tuttiResult_t tuttiBcast(void* buff, size_t count, tuttiDataType_t datatype, int root, tuttiComm_t comm, tuttiStream_t stream);

/** recvbuff on rank root (the others may leave it NULL): the reduction of all ranks' sendbuff. In place: sendbuff == recvbuff. */
TUTTI_API tuttiResult_t tuttiReduce(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, tuttiRedOp_t op, int root,
                                    tuttiComm_t comm, tuttiStream_t stream);

/** recvbuff on rank root (nranks * count elements; the others may leave it NULL): all ranks' sendbuff, by rank. In place at the root:
 * sendbuff == recvbuff + root * count. */
TUTTI_API tuttiResult_t tuttiGather(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root, tuttiComm_t comm,
                                    tuttiStream_t stream);

/** recvbuff: block `rank` of rank root's sendbuff (nranks * count elements; the others may leave it NULL). In place at the root:
 * recvbuff == sendbuff + root * count. */
TUTTI_API tuttiResult_t tuttiScatter(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root, tuttiComm_t comm,
                                     tuttiStream_t stream);

/** Block r of recvbuff: block `rank` of rank r's sendbuff; both hold nranks * count elements. No in-place form. */
TUTTI_API tuttiResult_t tuttiAllToAll(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, tuttiComm_t comm,
                                      tuttiStream_t stream);

/** Returns when all ranks have called it. */
TUTTI_API tuttiResult_t tuttiBarrier(tuttiComm_t comm, tuttiStream_t stream);

/* ---- With counts that differ. displs: where each block starts, in elements; local to the rank; NULL: one after another, by rank. ---- */

/** recvbuff on every rank: block r, recvcounts[r] elements, is rank r's sendbuff. recvcounts is the same on all ranks, and
 * sendcount == recvcounts[rank]. In place: sendbuff is where block `rank` of recvbuff lies. */
TUTTI_API tuttiResult_t tuttiAllGatherV(const void* sendbuff, size_t sendcount, void* recvbuff, const size_t* recvcounts,
                                        const size_t* displs, tuttiDataType_t datatype, tuttiComm_t comm, tuttiStream_t stream);

/** recvbuff (recvcounts[rank] elements): the reduction of all ranks' block `rank` of sendbuff. recvcounts is the same on all ranks. In
 * place: recvbuff is where block `rank` of sendbuff lies. */
TUTTI_API tuttiResult_t tuttiReduceScatterV(const void* sendbuff, const size_t* recvcounts, const size_t* displs, void* recvbuff,
                                            tuttiDataType_t datatype, tuttiRedOp_t op, tuttiComm_t comm, tuttiStream_t stream);

/** recvbuff on rank root: block r, recvcounts[r] elements, is rank r's sendbuff; the others may leave recvbuff, recvcounts and displs NULL.
 * A rank's sendcount is the root's recvcounts[rank]. In place at the root: sendbuff is where block `root` of recvbuff lies. */
TUTTI_API tuttiResult_t tuttiGatherV(const void* sendbuff, size_t sendcount, void* recvbuff, const size_t* recvcounts, const size_t* displs,
                                     tuttiDataType_t datatype, int root, tuttiComm_t comm, tuttiStream_t stream);

/** recvbuff: block `rank`, of sendcounts[rank] == recvcount elements, of rank root's sendbuff; the others may leave sendbuff, sendcounts and
 * displs NULL. In place at the root: recvbuff is where block `root` of sendbuff lies. */
TUTTI_API tuttiResult_t tuttiScatterV(const void* sendbuff, const size_t* sendcounts, const size_t* displs, void* recvbuff, size_t recvcount,
                                      tuttiDataType_t datatype, int root, tuttiComm_t comm, tuttiStream_t stream);

/** Block r of recvbuff: block `rank` of rank r's sendbuff. recvcounts[r] is rank r's sendcounts[rank]; a rank knows its own counts only.
 * No in-place form. */
TUTTI_API tuttiResult_t tuttiAllToAllV(const void* sendbuff, const size_t* sendcounts, const size_t* senddispls, void* recvbuff,
                                       const size_t* recvcounts, const size_t* recvdispls, tuttiDataType_t datatype, tuttiComm_t comm,
                                       tuttiStream_t stream);

/* ---- Point to point. A send and the receive that meets it have equal count and type; those between two ranks meet in their order. Inside
 * a group all progress together, whatever their streams, so no order of them blocks. Outside a group, a call returns when its peer's call
 * has taken or brought the data. ---- */

/** Sends `count` elements to rank `peer`, which may be this rank inside a group. */
TUTTI_API tuttiResult_t tuttiSend(const void* sendbuff, size_t count, tuttiDataType_t datatype, int peer, tuttiComm_t comm,
                                  tuttiStream_t stream);

/** Receives `count` elements from rank `peer`. */
TUTTI_API tuttiResult_t tuttiRecv(void* recvbuff, size_t count, tuttiDataType_t datatype, int peer, tuttiComm_t comm, tuttiStream_t stream);

/* ---- Reductions of one's own, of one communicator: create them on all ranks, in the same order. ---- */

/** *op: every rank's input is multiplied by its own *scalar (one element of `datatype`, in host memory or in that of the communicator's
 * device, read before the call returns), then summed. Legal for `datatype` only. */
TUTTI_API tuttiResult_t tuttiRedOpCreatePreMulSum(tuttiRedOp_t* op, const void* scalar, tuttiDataType_t datatype, tuttiComm_t comm);

/** *op: `function`, called on host memory with `context`; what lies in a device's memory is copied there for it, and back. Not commutative
 * (commutative == 0): inputs are folded in the order of the ranks, rank 0's leftmost. Legal for every type. */
TUTTI_API tuttiResult_t tuttiRedOpCreateUser(tuttiRedOp_t* op, tuttiReduceFunction_t function, int commutative, void* context,
                                             tuttiComm_t comm);

/** No call may use `op` any more. */
TUTTI_API tuttiResult_t tuttiRedOpDestroy(tuttiRedOp_t op, tuttiComm_t comm);

/* ---- Streams of the host. Any thread. ---- */

/** *stream: a new stream, with a thread of its own. */
TUTTI_API tuttiResult_t tuttiStreamCreate(tuttiStream_t* stream);

/** Waits until all that was submitted to the stream is complete; returns the first error of it since the last synchronization. */
TUTTI_API tuttiResult_t tuttiStreamSynchronize(tuttiStream_t stream);

/** tuttiSuccess: all that was submitted is complete; tuttiInProgress: not yet. */
TUTTI_API tuttiResult_t tuttiStreamQuery(tuttiStream_t stream);

/** What tuttiStreamAddCallback calls, with its `context`. */
typedef void (*tuttiStreamCallback_t)(void* context);

/** Calls `callback` from the stream's thread once all that was submitted before is complete, and before what is submitted after. It must not
 * call Tutti on this stream. */
TUTTI_API tuttiResult_t tuttiStreamAddCallback(tuttiStream_t stream, tuttiStreamCallback_t callback, void* context);

/** Waits until the stream is empty, and ends it. NULL is legal. */
TUTTI_API tuttiResult_t tuttiStreamDestroy(tuttiStream_t stream);

/* ---- Plans, explanation and groups. ---- */

/** Has a plan of one's own run wherever it serves a request of `comm`: `json` is what `tutti-plan --dump json` prints, of as many ranks as
 * the communicator has. It is verified first. minBytes and maxBytes: the sizes of a block (count x size of the type) that it is for, in place
 * of those that it names itself; both 0: as it says. Of several that serve a request the one registered last is taken, before all of
 * TUTTI_PLAN_FILE; a forced algorithm goes before any. All ranks call it with the same arguments, as a collective; where one has a wrong or a
 * different plan all get an error, and nothing is changed. Not inside a group. Communicators split from this one do not have it. */
TUTTI_API tuttiResult_t tuttiCommRegisterPlan(tuttiComm_t comm, const char* json, size_t minBytes, size_t maxBytes);

/** Says as JSON which plan a request would use and why: {"collective","ranks","bytes","algorithm","channels","protocol","transport",
 * "reason","source","predicted_us","bound_us","percent_of_bound","binding_cut","second":{"algorithm","channels","predicted_us"}}. source is one
 * of rule, search, table, forced, tuner, plan; predicted_us is by simulation of the machine as Tutti knows it, bound_us what its links need at
 * least, binding_cut what sets that; second is the fastest by prediction of what was not chosen. predicted_us, percent_of_bound and second are
 * null where there is none. More keys may follow. Writes at most `capacity` bytes with a terminating 0 and sets *length (may be NULL) to the
 * full length without it; `text` may be NULL when capacity is 0. `root` is ignored by collectives without one. Local: no communication; it
 * searches, which may take a second where ranks are many. */
TUTTI_API tuttiResult_t tuttiCommExplain(tuttiComm_t comm, tuttiCollective_t collective, size_t count, tuttiDataType_t datatype,
                                         tuttiRedOp_t op, int root, char* text, size_t capacity, size_t* length);

/** Opens a group: calls of this thread are collected until the outermost tuttiGroupEnd. Groups nest. */
TUTTI_API tuttiResult_t tuttiGroupStart(void);

/** Closes a group; the outermost one starts everything that was collected. The group is one piece of work of every stream that its calls name:
 * it starts when all of them have come to it, and they go on when it is complete; where NULL is among them, this call returns then. If any
 * call inside was refused, returns that call's error and starts nothing. */
TUTTI_API tuttiResult_t tuttiGroupEnd(void);

#ifdef __cplusplus
}
#endif

#endif /* TUTTI_TUTTI_H_ */
