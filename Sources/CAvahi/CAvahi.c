#include "CAvahi.h"

#include <avahi-client/client.h>
#include <avahi-client/publish.h>
#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/thread-watch.h>
#include <dlfcn.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EACH(call)                                                                                                              \
  call(client_new) call(client_free) call(client_errno) call(client_get_state) call(client_get_host_name)                       \
      call(entry_group_new) call(entry_group_reset) call(entry_group_add_address) call(entry_group_add_service)                 \
          call(entry_group_commit) call(strerror) call(free) call(alternative_host_name) call(threaded_poll_new)                \
              call(threaded_poll_get) call(threaded_poll_start) call(threaded_poll_stop) call(threaded_poll_free)               \
                  call(threaded_poll_lock) call(threaded_poll_unlock)

#define POINTER(name) static __typeof__(&avahi_##name) p_##name;
EACH(POINTER)

static bool loaded;

static void load(void) {
  // The client's library brings the common one along.
  void *library = dlopen("libavahi-client.so.3", RTLD_NOW | RTLD_LOCAL);
  if (!library) return;
#define FIND(name)                                                                                                              \
  p_##name = (__typeof__(p_##name))dlsym(library, "avahi_" #name);                                                              \
  if (!p_##name) return;
  EACH(FIND)
  loaded = true;
}

bool mdns_load(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return loaded;
}

#define ADDRESSES 32
#define SERVICES 2
typedef struct {
  int interface;
  AvahiAddress address;
} machine_address;

struct mdns_name {
  AvahiThreadedPoll *poll;
  AvahiClient *client;
  AvahiEntryGroup *group;
  char label[MDNS_LABEL_ROOM], title[32], types[SERVICES][32], words[MDNS_WORDS_ROOM];
  uint16_t ports[SERVICES];
  int state, count;
  machine_address addresses[ADDRESSES];
};

static void say(mdns_name *name, int state, const char *words) {
  name->state = state;
  snprintf(name->words, sizeof name->words, "%s", words);
}

// Every address by which others may reach this machine. Link-local ones of IPv6 need an interface to be of use.
static int machine_addresses(machine_address found[ADDRESSES]) {
  struct ifaddrs *list, *one;
  int count = 0;
  if (getifaddrs(&list) != 0) return 0;
  for (one = list; one && count < ADDRESSES; one = one->ifa_next) {
    if (!one->ifa_addr || !(one->ifa_flags & IFF_UP) || one->ifa_flags & IFF_LOOPBACK) continue;
    machine_address next;
    memset(&next, 0, sizeof next);
    next.interface = (int)if_nametoindex(one->ifa_name);
    if (one->ifa_addr->sa_family == AF_INET) {
      next.address.proto = AVAHI_PROTO_INET;
      next.address.data.ipv4.address = ((struct sockaddr_in *)one->ifa_addr)->sin_addr.s_addr;
    } else if (one->ifa_addr->sa_family == AF_INET6) {
      struct in6_addr *address = &((struct sockaddr_in6 *)one->ifa_addr)->sin6_addr;
      if (IN6_IS_ADDR_LINKLOCAL(address)) continue;
      next.address.proto = AVAHI_PROTO_INET6;
      memcpy(next.address.data.ipv6.address, address, 16);
    } else {
      continue;
    }
    found[count++] = next;
  }
  freeifaddrs(list);
  return count;
}

static void publish(mdns_name *name);

static void take_next(mdns_name *name) {
  char *next = p_alternative_host_name(name->label);
  if (next && strlen(next) < sizeof name->label) strcpy(name->label, next);
  p_free(next);
}

static void group_changed(AvahiEntryGroup *group, AvahiEntryGroupState state, void *owner) {
  mdns_name *name = owner;
  name->group = group;
  switch (state) {
    case AVAHI_ENTRY_GROUP_ESTABLISHED: return say(name, MDNS_PUBLISHED, "");
    case AVAHI_ENTRY_GROUP_COLLISION:
      take_next(name);
      return publish(name);
    case AVAHI_ENTRY_GROUP_FAILURE: return say(name, MDNS_FAILED, p_strerror(p_client_errno(name->client)));
    case AVAHI_ENTRY_GROUP_UNCOMMITED:
    case AVAHI_ENTRY_GROUP_REGISTERING: return;
  }
}

static int fill(mdns_name *name) {
  char host[MDNS_LABEL_ROOM + 8], service[MDNS_LABEL_ROOM + 40];
  snprintf(host, sizeof host, "%s.local", name->label);
  snprintf(service, sizeof service, "%s (%s)", name->title, name->label);
  const char *own = p_client_get_host_name(name->client);
  // The daemon announces the machine's own name by itself.
  bool is_own = own && strcasecmp(own, name->label) == 0;
  for (int index = 0; !is_own && index < name->count; index++) {
    int result = p_entry_group_add_address(
        name->group, name->addresses[index].interface, AVAHI_PROTO_UNSPEC, AVAHI_PUBLISH_NO_REVERSE, host, &name->addresses[index].address);
    if (result < 0) return result;
  }
  for (int index = 0; index < SERVICES; index++) {
    if (!name->types[index][0]) continue;
    int result = p_entry_group_add_service(
        name->group, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, 0, service, name->types[index], NULL, is_own ? NULL : host,
        name->ports[index], NULL);
    if (result < 0) return result;
  }
  return p_entry_group_commit(name->group);
}

static void publish(mdns_name *name) {
  if (!name->group) name->group = p_entry_group_new(name->client, group_changed, name);
  if (!name->group) return say(name, MDNS_FAILED, p_strerror(p_client_errno(name->client)));
  name->count = machine_addresses(name->addresses);
  if (name->count == 0) {
    p_entry_group_reset(name->group);
    return say(name, MDNS_WAITING, "this machine has no address in a network yet");
  }
  // Names that this machine gave away itself come back at once; others after the daemon has asked the network.
  for (int tries = 0; tries < 100; tries++) {
    say(name, MDNS_CLAIMING, "");
    p_entry_group_reset(name->group);
    int result = fill(name);
    if (result >= 0) return;
    if (result != AVAHI_ERR_COLLISION) return say(name, MDNS_FAILED, p_strerror(result));
    take_next(name);
  }
  say(name, MDNS_FAILED, "every name like this one is taken");
}

static void client_changed(AvahiClient *client, AvahiClientState state, void *owner);

static void connect_daemon(mdns_name *name) {
  int error = 0;
  name->group = NULL;
  name->client = p_client_new(p_threaded_poll_get(name->poll), AVAHI_CLIENT_NO_FAIL, client_changed, name, &error);
  if (!name->client) say(name, MDNS_FAILED, p_strerror(error));
}

static void client_changed(AvahiClient *client, AvahiClientState state, void *owner) {
  mdns_name *name = owner;
  name->client = client;
  switch (state) {
    case AVAHI_CLIENT_S_RUNNING: return publish(name);
    // The machine's own name is being settled: ours waits for that.
    case AVAHI_CLIENT_S_REGISTERING:
    case AVAHI_CLIENT_S_COLLISION:
      if (name->group) p_entry_group_reset(name->group);
      return say(name, MDNS_CLAIMING, "");
    case AVAHI_CLIENT_CONNECTING: return say(name, MDNS_WAITING, "avahi-daemon does not run: apt-get install avahi-daemon");
    case AVAHI_CLIENT_FAILURE:
      if (p_client_errno(client) != AVAHI_ERR_DISCONNECTED) return say(name, MDNS_FAILED, p_strerror(p_client_errno(client)));
      // The daemon has gone: it is waited for anew.
      say(name, MDNS_WAITING, "avahi-daemon has ended");
      p_client_free(client);
      connect_daemon(name);
      return;
  }
}

mdns_name *mdns_start(const char *label, const char *title, mdns_service first, mdns_service second) {
  mdns_name *name = calloc(1, sizeof *name);
  if (!name) return NULL;
  snprintf(name->label, sizeof name->label, "%s", label);
  snprintf(name->title, sizeof name->title, "%s", title);
  const mdns_service services[SERVICES] = {first, second};
  for (int index = 0; index < SERVICES; index++) {
    if (!services[index].type) continue;
    snprintf(name->types[index], sizeof name->types[index], "%s", services[index].type);
    name->ports[index] = services[index].port;
  }
  name->poll = p_threaded_poll_new();
  if (!name->poll) {
    free(name);
    return NULL;
  }
  connect_daemon(name);
  p_threaded_poll_start(name->poll);
  return name;
}

static bool is_running(mdns_name *name) { return name->client && p_client_get_state(name->client) == AVAHI_CLIENT_S_RUNNING; }

void mdns_rename(mdns_name *name, const char *label) {
  p_threaded_poll_lock(name->poll);
  snprintf(name->label, sizeof name->label, "%s", label);
  if (is_running(name)) publish(name);
  p_threaded_poll_unlock(name->poll);
}

void mdns_refresh(mdns_name *name) {
  machine_address now[ADDRESSES];
  int count = machine_addresses(now);
  p_threaded_poll_lock(name->poll);
  // Without a bus there is no waiting for the daemon: the connection is tried again.
  if (!name->client) connect_daemon(name);
  bool is_same = count == name->count && memcmp(now, name->addresses, sizeof *now * (size_t)count) == 0;
  if (!is_same && is_running(name)) publish(name);
  p_threaded_poll_unlock(name->poll);
}

int mdns_state(mdns_name *name, char label[MDNS_LABEL_ROOM], char words[MDNS_WORDS_ROOM]) {
  p_threaded_poll_lock(name->poll);
  int state = name->state;
  memcpy(label, name->label, sizeof name->label);
  memcpy(words, name->words, sizeof name->words);
  p_threaded_poll_unlock(name->poll);
  return state;
}

void mdns_stop(mdns_name *name) {
  p_threaded_poll_stop(name->poll);
  if (name->client) p_client_free(name->client);
  p_threaded_poll_free(name->poll);
  free(name);
}
