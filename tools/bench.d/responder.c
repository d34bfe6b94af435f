// The least that answers an inverter: epoll, a timer, and the frames of deye-hv with the definition's own delays.
//   responder INTERFACE: until a signal ends it
#include <linux/can.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { after_ns = 10000000, spacing_ns = 8000000 };  // deye-hv.yaml: after 10, spacing 8

int main(int count, char **words) {
  if (count != 2) return 2;
  int port = socket(PF_CAN, SOCK_RAW, CAN_RAW);
  struct sockaddr_can address = {.can_family = AF_CAN, .can_ifindex = if_nametoindex(words[1])};
  if (port < 0 || !address.can_ifindex || bind(port, (struct sockaddr *)&address, sizeof address) < 0) return perror(words[1]), 2;
  int timer = timerfd_create(CLOCK_MONOTONIC, 0), queue = epoll_create1(0);
  struct epoll_event sources[2] = {{.events = EPOLLIN, .data.fd = port}, {.events = EPOLLIN, .data.fd = timer}};
  epoll_ctl(queue, EPOLL_CTL_ADD, port, &sources[0]);
  epoll_ctl(queue, EPOLL_CTL_ADD, timer, &sources[1]);
  static const uint32_t answer[] = {0x4210, 0x4220, 0x4230, 0x4240, 0x4250, 0x4260, 0x4270, 0x4280, 0x4290};
  unsigned next = sizeof answer / sizeof *answer;
  struct itimerspec due = {0};
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct epoll_event event;
    if (epoll_wait(queue, &event, 1, -1) < 1) continue;
    if (event.data.fd == port) {
      struct can_frame frame;
      if (read(port, &frame, sizeof frame) != sizeof frame || frame.can_id != (0x4200 | CAN_EFF_FLAG)) continue;
      next = 0;
      clock_gettime(CLOCK_MONOTONIC, &due.it_value);
      due.it_value.tv_nsec += after_ns;
    } else {
      uint64_t times;
      if (read(timer, &times, sizeof times) != sizeof times || next >= sizeof answer / sizeof *answer) continue;
      struct can_frame frame = {.can_id = answer[next++] | CAN_EFF_FLAG, .can_dlc = 8};
      if (write(port, &frame, sizeof frame) != sizeof frame) return perror("write"), 1;
      due.it_value.tv_nsec += spacing_ns;
      if (next >= sizeof answer / sizeof *answer) continue;
    }
    if (due.it_value.tv_nsec >= 1000000000) {
      due.it_value.tv_nsec -= 1000000000;
      due.it_value.tv_sec++;
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &due, NULL);
  }
}
