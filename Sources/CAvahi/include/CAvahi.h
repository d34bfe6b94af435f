// A name of this machine in mDNS through avahi-daemon. libavahi-client is loaded when a name is first wanted: it brings D-Bus along, which
// would cost every start of the program.
#ifndef LINKBMS_CAVAHI_H
#define LINKBMS_CAVAHI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mdns_name mdns_name;
enum { MDNS_WAITING, MDNS_CLAIMING, MDNS_PUBLISHED, MDNS_FAILED, MDNS_LABEL_ROOM = 64, MDNS_WORDS_ROOM = 200 };

// Loads the library, once; false where it is not installed.
bool mdns_load(void);
// Something that is offered under a name: its type, such as "_http._tcp", and where. A type of NULL is none.
typedef struct {
  const char *type;
  uint16_t port;
} mdns_service;
// Begins to claim `label`.local for this machine's addresses, and up to two services there, on a thread of the library. Where another
// machine has the name, the next is claimed: bms-2. `title` stands before the name in lists of services; it and the types are kept as
// they are. Only after mdns_load has said true. NULL where there is no memory.
mdns_name *mdns_start(const char *label, const char *title, mdns_service first, mdns_service second);
// Gives the name up and claims another.
void mdns_rename(mdns_name *name, const char *label);
// Claims it anew if this machine's addresses have changed.
void mdns_refresh(mdns_name *name);
// How it stands: the label that is claimed, and why it waits or has failed.
int mdns_state(mdns_name *name, char label[MDNS_LABEL_ROOM], char words[MDNS_WORDS_ROOM]);
// Gives it up, and returns when the thread is gone.
void mdns_stop(mdns_name *name);

#endif
