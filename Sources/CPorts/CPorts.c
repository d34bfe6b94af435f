#define _GNU_SOURCE
#include "CPorts.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

int ports_event_open(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

// A full counter is readable already, and an empty one is what was wanted: neither failure loses anything.
void ports_event_set(int descriptor) { (void)eventfd_write(descriptor, 1); }

void ports_event_clear(int descriptor) {
  eventfd_t count;
  (void)eventfd_read(descriptor, &count);
}

int ports_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int ports_receive_room(int descriptor) {
  int bytes = 0;
  socklen_t size = sizeof bytes;
  // The kernel says twice what it was asked for: half of it is for its own use.
  return getsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, &size) == 0 ? bytes / 2 : -1;
}
