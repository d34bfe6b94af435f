// What live ports need of the system and Swift cannot import: event descriptors, CAN sockets.
#ifndef LINKBMS_CPORTS_H
#define LINKBMS_CPORTS_H

#include <stdbool.h>

// A descriptor that is readable after ports_event_set until ports_event_clear; -1 and errno where there is none.
int ports_event_open(void);
void ports_event_set(int descriptor);
void ports_event_clear(int descriptor);

#endif
