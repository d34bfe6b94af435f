#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "CPorts.h"

int ports_tcp_resolve(const char *host, uint16_t port, ports_address *addresses, int count) {
  char service[8];
  snprintf(service, sizeof service, "%u", port);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
  if (getaddrinfo(host, service, &hints, &found) != 0) return 0;
  int taken = 0;
  for (struct addrinfo *one = found; one && taken < count; one = one->ai_next) {
    if (one->ai_addrlen > sizeof addresses->bytes) continue;
    memcpy(addresses[taken].bytes, one->ai_addr, one->ai_addrlen);
    addresses[taken++].length = one->ai_addrlen;
  }
  freeaddrinfo(found);
  return taken;
}

int ports_tcp_start(const ports_address *address) {
  struct sockaddr_storage place;
  memcpy(&place, address->bytes, address->length);
  int descriptor = socket(place.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  // A server whose machine is gone says nothing: asked after 5 s of silence, given up after 9.
  // Where something was said to it that it has not acknowledged it is not asked, and given up after 8 s: that time ends the asking as well.
  int on = 1, idle = 5, between = 2, probes = 3, unacknowledged = 8000;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof between);
  setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged, sizeof unacknowledged);
  if (connect(descriptor, (struct sockaddr *)&place, address->length) == 0 || errno == EINPROGRESS) return descriptor;
  int saved = errno;
  close(descriptor);
  errno = saved;
  return -1;
}

int ports_tcp_finish(int descriptor, int milliseconds) {
  struct pollfd request = {descriptor, POLLOUT, 0};
  int ready = poll(&request, 1, milliseconds);
  if (ready == 0 || (ready < 0 && errno == EINTR)) return EINPROGRESS;
  int code = 0;
  socklen_t size = sizeof code;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) != 0) return errno;
  return code;
}
