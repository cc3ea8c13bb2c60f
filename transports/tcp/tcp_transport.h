// TCP between ranks, of one host or of several. Each end of a FIFO has slots of its own; what is posted is written to the socket at once,
// and progress() reads what has come straight into the receiver's slots. A pair of ranks has up to `sockets` connections, made when a FIFO
// first needs them and spread over FIFO channels and network interfaces; each carries both directions, data and credits.
//
// address.h    where a rank is reached, and which of its addresses to try first
// handshake.h  how both ends of a connection prove that they know the key
// listener.h   the end that is called; on the control thread
// dial.h       the end that calls; in the thread that makes the FIFO
// wire.h       frames
// connection.h frames to and from slots
// fifos.h      the slots
// host_watch.h does the peer's host still answer?
// Threading: as Transport.
#pragma once

#include <memory>
#include <string>

#include "executor/transport.h"

namespace tutti {

struct TcpOptions {
  std::string interfaces;   // as TUTTI_SOCKET_IFNAME
  int sockets = 2;          // of a pair of ranks. One core fills one connection's 10 Gbit/s or so; two also give a ring each way its own
  size_t buffer_bytes = 0;  // of a socket, each way; 0: the kernel's own tuning
  double heartbeat_s = 10;  // after which a host that answers nothing counts as lost; 0: never
};

// `key` is the communicator's secret. `budget`: of this rank's ends of FIFOs. Errors: kInvalidArgument (the interfaces' names), kSystem.
Result<std::unique_ptr<Transport>> make_tcp_transport(int rank, int nranks, const FifoShapes& shapes, const TcpOptions& options,
                                                      const Key& key, std::shared_ptr<MemoryBudget> budget);

}  // namespace tutti
