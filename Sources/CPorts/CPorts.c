#include "CPorts.h"

#include <sys/eventfd.h>

int ports_event_open(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

// A full counter is readable already, and an empty one is what was wanted: neither failure loses anything.
void ports_event_set(int descriptor) { (void)eventfd_write(descriptor, 1); }

void ports_event_clear(int descriptor) {
  eventfd_t count;
  (void)eventfd_read(descriptor, &count);
}
