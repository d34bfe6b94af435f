// What live ports need of the system and Swift cannot import: event descriptors, multicast, CAN and TCP sockets.
#ifndef LINKBMS_CPORTS_H
#define LINKBMS_CPORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// A descriptor that is readable after ports_event_set until ports_event_clear; -1 and errno where there is none.
int ports_event_open(void);
void ports_event_set(int descriptor);
void ports_event_clear(int descriptor);

// A pipe whose ends no child inherits, whatever another thread starts at that moment; -1 and errno.
int ports_pipe(int ends[2]);

// Bytes that the kernel keeps for what waits at a socket, in the numbers in which they are asked for; -1 and errno.
int ports_receive_room(int descriptor);

// --- Multicast. Addresses and ports in network byte order as they stand in sockaddr_in.

// A socket that hears `group` on every interface that can carry it; -1 and errno.
int ports_multicast_listen(uint32_t group, uint16_t port, int buffer_bytes);
// A socket that talks to `group`, with a source address and port of its own, which tell its datagrams from all others; -1 and errno.
int ports_multicast_talk(uint32_t group, uint16_t port, uint32_t *source_address, uint16_t *source_port);
// One datagram with its time of arrival (ns since 1970; 0 where the kernel gave none) and the datagrams lost before it, all told;
// -1 and errno.
ssize_t ports_multicast_receive(
    int descriptor, void *bytes, size_t count, int64_t *time_ns, uint32_t *source_address, uint16_t *source_port, uint32_t *lost);

// --- SocketCAN.

typedef enum {
  ports_can_open_done,
  ports_can_open_no_family,   // this kernel has no CAN at all
  ports_can_open_no_raw,      // it has CAN and no raw sockets for it
  ports_can_open_absent,      // no interface of that name
  ports_can_open_not_can,     // it is something else
  ports_can_open_down,
  ports_can_open_failed,      // errno says why
} ports_can_open_result;

typedef struct {
  bool own_frames;      // deliver what this socket sent
  bool hardware_time;   // the controller's time stamp where it gives one
  uint32_t error_mask;  // classes of error frames wanted
  int buffer_bytes;     // room in the kernel for frames that wait
  bool withhold;        // until filters are set, nothing comes but error frames
} ports_can_options;

// Opens a raw socket for classic and FD frames. On success *descriptor is it and *mtu says whether the interface takes FD (72).
ports_can_open_result ports_can_open(const char *name, const ports_can_options *options, int *descriptor, int *mtu);

typedef struct {
  uint32_t id;        // struct can_frame's can_id, flags and all
  uint8_t length;
  uint8_t raw_dlc;    // len8_dlc
  uint8_t fd_flags;
  bool is_fd;
  bool is_local;      // sent by this machine
  bool is_own;        // sent by this very socket
  int64_t time_ns;    // since 1970; 0 where the kernel gave none
  uint32_t lost;      // frames the kernel dropped on this socket, all told
  uint8_t data[64];
} ports_can_frame;

enum { ports_can_batch = 64 };
// Up to ports_can_batch frames; -1 and errno, EAGAIN where nothing waits.
int ports_can_receive(int descriptor, ports_can_frame *frames);
// 0, or errno.
int ports_can_send(int descriptor, const ports_can_frame *frame);

typedef struct {
  uint32_t id, mask;
} ports_can_filter;
// From now on the socket hears what it sent itself, once it was on the bus. 0, or errno.
int ports_can_take_own_frames(int descriptor);
// 0, or errno. `all` = a frame must pass every filter, instead of any.
int ports_can_set_filters(int descriptor, const ports_can_filter *filters, int count, bool all);

// --- TCP.

typedef struct {
  char bytes[128];
  uint32_t length;
} ports_address;
// Addresses of a host, `count` at most; 0 where it has none. Asks the name server, and so may take a while.
int ports_tcp_resolve(const char *host, uint16_t port, ports_address *addresses, int count);
// Begins to connect; -1 and errno.
int ports_tcp_start(const ports_address *address);
// Waits for that: 0 = connected, EINPROGRESS = not yet, else why not.
int ports_tcp_finish(int descriptor, int milliseconds);

#endif
