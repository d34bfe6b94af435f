#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "CPorts.h"

static int fail(int descriptor) {
  int saved = errno;
  close(descriptor);
  errno = saved;
  return -1;
}

// The default route's interface and every other one that is up: a machine without any network still has its loopback.
static int join_everywhere(int descriptor, uint32_t group) {
  struct ip_mreqn request = {.imr_multiaddr = {group}};
  int joined = setsockopt(descriptor, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) == 0;
  int reason = errno;
  struct ifaddrs *all = NULL;
  if (getifaddrs(&all) != 0) return joined ? 0 : -1;
  for (struct ifaddrs *one = all; one; one = one->ifa_next) {
    if (!one->ifa_addr || one->ifa_addr->sa_family != AF_INET || !(one->ifa_flags & IFF_UP)) continue;
    if (!(one->ifa_flags & (IFF_MULTICAST | IFF_LOOPBACK))) continue;
    request.imr_ifindex = (int)if_nametoindex(one->ifa_name);
    if (setsockopt(descriptor, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) == 0 || errno == EADDRINUSE) {
      joined = 1;
    } else {
      reason = errno;
    }
  }
  freeifaddrs(all);
  errno = reason;
  return joined ? 0 : -1;
}

int ports_multicast_listen(uint32_t group, uint16_t port, int buffer_bytes) {
  int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  int on = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  setsockopt(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  setsockopt(descriptor, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
  if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof buffer_bytes) != 0) {
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
  }
  // Bound to the group, not to any address: what is sent to this machine alone is not the bus.
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port, .sin_addr = {group}};
  if (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0) return fail(descriptor);
  if (join_everywhere(descriptor, group) != 0) return fail(descriptor);
  return descriptor;
}

int ports_multicast_talk(uint32_t group, uint16_t port, uint32_t *source_address, uint16_t *source_port) {
  int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  // As python-can: this network and no further.
  unsigned char hops = 1, loop = 1;
  setsockopt(descriptor, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof hops);
  setsockopt(descriptor, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof loop);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port, .sin_addr = {group}};
  if (connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
    struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
    setsockopt(descriptor, IPPROTO_IP, IP_MULTICAST_IF, &loopback, sizeof loopback);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) return fail(descriptor);
  }
  struct sockaddr_in own;
  socklen_t size = sizeof own;
  if (getsockname(descriptor, (struct sockaddr *)&own, &size) != 0) return fail(descriptor);
  *source_address = own.sin_addr.s_addr;
  *source_port = own.sin_port;
  return descriptor;
}

ssize_t ports_multicast_receive(
    int descriptor, void *bytes, size_t count, int64_t *time_ns, uint32_t *source_address, uint16_t *source_port, uint32_t *lost) {
  struct sockaddr_in source = {0};
  struct iovec part = {bytes, count};
  union {
    char bytes[256];
    struct cmsghdr align;
  } control;
  struct msghdr message = {.msg_name = &source, .msg_namelen = sizeof source, .msg_iov = &part, .msg_iovlen = 1,
                           .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t length = recvmsg(descriptor, &message, MSG_DONTWAIT);
  if (length < 0) return -1;
  *time_ns = 0;
  *source_address = source.sin_addr.s_addr;
  *source_port = source.sin_port;
  for (struct cmsghdr *one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level != SOL_SOCKET) continue;
    if (one->cmsg_type == SCM_TIMESTAMPNS) {
      struct timespec time;
      memcpy(&time, CMSG_DATA(one), sizeof time);
      *time_ns = time.tv_sec * 1000000000LL + time.tv_nsec;
    } else if (one->cmsg_type == SO_RXQ_OVFL) {
      memcpy(lost, CMSG_DATA(one), sizeof *lost);
    }
  }
  return length;
}
