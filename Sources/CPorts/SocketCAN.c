#define _GNU_SOURCE
#include <errno.h>
#include <linux/can.h>
#include <linux/can/raw.h>
#include <linux/net_tstamp.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "CPorts.h"

static ports_can_open_result stop(int descriptor, ports_can_open_result result) {
  int saved = errno;
  close(descriptor);
  errno = saved;
  return result;
}

static ports_can_open_result examine(int descriptor, const char *name, int *index, int *mtu) {
  struct ifreq request = {0};
  if (strlen(name) >= sizeof request.ifr_name) return ports_can_open_absent;
  strcpy(request.ifr_name, name);
  if (ioctl(descriptor, SIOCGIFINDEX, &request) != 0) return errno == ENODEV ? ports_can_open_absent : ports_can_open_failed;
  *index = request.ifr_ifindex;
  if (ioctl(descriptor, SIOCGIFHWADDR, &request) != 0) return ports_can_open_failed;
  if (request.ifr_hwaddr.sa_family != ARPHRD_CAN) return ports_can_open_not_can;
  if (ioctl(descriptor, SIOCGIFFLAGS, &request) != 0) return ports_can_open_failed;
  if (!(request.ifr_flags & IFF_UP)) return ports_can_open_down;
  if (ioctl(descriptor, SIOCGIFMTU, &request) != 0) return ports_can_open_failed;
  *mtu = request.ifr_mtu;
  return ports_can_open_done;
}

ports_can_open_result ports_can_open(const char *name, const ports_can_options *options, int *descriptor, int *mtu) {
  int can = socket(PF_CAN, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, CAN_RAW);
  if (can < 0) {
    if (errno == EAFNOSUPPORT) return ports_can_open_no_family;
    return errno == EPROTONOSUPPORT ? ports_can_open_no_raw : ports_can_open_failed;
  }
  int index = 0;
  ports_can_open_result result = examine(can, name, &index, mtu);
  if (result != ports_can_open_done) return stop(can, result);

  int on = 1, own = options->own_frames;
  can_err_mask_t errors = options->error_mask;
  setsockopt(can, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, &on, sizeof on);
  setsockopt(can, SOL_CAN_RAW, CAN_RAW_RECV_OWN_MSGS, &own, sizeof own);
  setsockopt(can, SOL_CAN_RAW, CAN_RAW_ERR_FILTER, &errors, sizeof errors);
  setsockopt(can, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
  if (setsockopt(can, SOL_SOCKET, SO_RCVBUFFORCE, &options->buffer_bytes, sizeof(int)) != 0) {
    setsockopt(can, SOL_SOCKET, SO_RCVBUF, &options->buffer_bytes, sizeof(int));
  }
  int stamps = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_HARDWARE |
               SOF_TIMESTAMPING_RAW_HARDWARE;
  if (!options->hardware_time || setsockopt(can, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof stamps) != 0) {
    setsockopt(can, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  }
  // Before the socket has an interface: what came between that and the filters would pass.
  if (options->withhold) setsockopt(can, SOL_CAN_RAW, CAN_RAW_FILTER, NULL, 0);
  struct sockaddr_can address = {.can_family = AF_CAN, .can_ifindex = index};
  if (bind(can, (struct sockaddr *)&address, sizeof address) != 0) {
    return stop(can, errno == ENODEV ? ports_can_open_absent : ports_can_open_failed);
  }
  *descriptor = can;
  return ports_can_open_done;
}

static int64_t nanoseconds(const struct timespec *time) { return time->tv_sec * 1000000000LL + time->tv_nsec; }

static void read_control(struct msghdr *header, ports_can_frame *frame) {
  for (struct cmsghdr *one = CMSG_FIRSTHDR(header); one; one = CMSG_NXTHDR(header, one)) {
    if (one->cmsg_level != SOL_SOCKET) continue;
    if (one->cmsg_type == SCM_TIMESTAMPNS) {
      struct timespec time;
      memcpy(&time, CMSG_DATA(one), sizeof time);
      frame->time_ns = nanoseconds(&time);
    } else if (one->cmsg_type == SCM_TIMESTAMPING) {
      // 0 = the kernel's, 2 = the controller's.
      struct timespec times[3];
      memcpy(times, CMSG_DATA(one), sizeof times);
      frame->time_ns = nanoseconds(&times[2]) != 0 ? nanoseconds(&times[2]) : nanoseconds(&times[0]);
    } else if (one->cmsg_type == SO_RXQ_OVFL) {
      memcpy(&frame->lost, CMSG_DATA(one), sizeof frame->lost);
    }
  }
}

int ports_can_receive(int descriptor, ports_can_frame *frames) {
  struct canfd_frame raw[ports_can_batch];
  struct iovec parts[ports_can_batch];
  struct mmsghdr messages[ports_can_batch];
  union {
    char bytes[192];
    struct cmsghdr align;
  } control[ports_can_batch];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < ports_can_batch; i++) {
    parts[i] = (struct iovec){&raw[i], sizeof raw[i]};
    messages[i].msg_hdr =
        (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1, .msg_control = &control[i], .msg_controllen = sizeof control[i]};
  }
  int count = recvmmsg(descriptor, messages, ports_can_batch, MSG_DONTWAIT, NULL);
  for (int i = 0; i < count; i++) {
    ports_can_frame *frame = &frames[i];
    memset(frame, 0, offsetof(ports_can_frame, data));
    frame->id = raw[i].can_id;
    frame->is_fd = messages[i].msg_len == CANFD_MTU;
    frame->length = raw[i].len;
    if (frame->is_fd) {
      frame->fd_flags = raw[i].flags;
    } else {
      frame->raw_dlc = ((struct can_frame *)&raw[i])->len8_dlc;
    }
    frame->is_local = messages[i].msg_hdr.msg_flags & MSG_DONTROUTE;
    frame->is_own = messages[i].msg_hdr.msg_flags & MSG_CONFIRM;
    memcpy(frame->data, raw[i].data, sizeof frame->data);
    read_control(&messages[i].msg_hdr, frame);
  }
  return count;
}

int ports_can_send(int descriptor, const ports_can_frame *frame) {
  struct canfd_frame raw = {.can_id = frame->id, .len = frame->length};
  size_t size = CAN_MTU;
  if (frame->is_fd) {
    raw.flags = frame->fd_flags;
    size = CANFD_MTU;
  } else {
    ((struct can_frame *)&raw)->len8_dlc = frame->raw_dlc;
  }
  memcpy(raw.data, frame->data, frame->is_fd ? sizeof raw.data : 8);
  ssize_t count;
  do count = write(descriptor, &raw, size);
  while (count < 0 && errno == EINTR);
  return count < 0 ? errno : 0;
}

int ports_can_set_filters(int descriptor, const ports_can_filter *filters, int count, bool all) {
  struct can_filter raw[CAN_RAW_FILTER_MAX];
  if (count < 0 || count > CAN_RAW_FILTER_MAX) return EINVAL;
  for (int i = 0; i < count; i++) raw[i] = (struct can_filter){filters[i].id, filters[i].mask};
  int join = all;
  if (setsockopt(descriptor, SOL_CAN_RAW, CAN_RAW_FILTER, raw, (socklen_t)(count * sizeof raw[0])) != 0) return errno;
  return setsockopt(descriptor, SOL_CAN_RAW, CAN_RAW_JOIN_FILTERS, &join, sizeof join) == 0 ? 0 : errno;
}

int ports_can_take_own_frames(int descriptor) {
  int on = 1;
  return setsockopt(descriptor, SOL_CAN_RAW, CAN_RAW_RECV_OWN_MSGS, &on, sizeof on) == 0 ? 0 : errno;
}
