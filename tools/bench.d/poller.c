// Asks as an inverter does and measures how long the first frame of the answer takes.
//   poller INTERFACE COUNT: prints the microseconds of each answer, one a line; -1 where none came within a second
// Counting begins behind the first answer: a battery measures before it says anything; ten seconds are waited for it.
// deye-hv: 0x4200 with request 0 is answered with 0x421x and following. The next question comes when the bus has been quiet.
#include <linux/can.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

// Whether a frame came within the time; it is taken.
static int heard(int port, int milliseconds) {
  struct pollfd source = {.fd = port, .events = POLLIN};
  struct can_frame frame;
  return poll(&source, 1, milliseconds) > 0 && read(port, &frame, sizeof frame) == sizeof frame;
}

int main(int count, char **words) {
  if (count != 3) return 2;
  int port = socket(PF_CAN, SOCK_RAW, CAN_RAW);
  struct sockaddr_can address = {.can_family = AF_CAN, .can_ifindex = if_nametoindex(words[1])};
  if (port < 0 || !address.can_ifindex || bind(port, (struct sockaddr *)&address, sizeof address) < 0) return perror(words[1]), 2;
  unsigned seed = 1;
  int warming = 10;
  for (int left = atoi(words[2]); left > 0;) {
    // Longer than the spacing of an answer, so that one never begins in another; by chance, so that no tick of anybody's is met.
    while (heard(port, 40 + rand_r(&seed) % 20)) continue;
    struct can_frame poll_frame = {.can_id = 0x4200 | CAN_EFF_FLAG, .can_dlc = 8};
    int64_t asked = now_ns();
    if (write(port, &poll_frame, sizeof poll_frame) != sizeof poll_frame) return perror("write"), 2;
    int is_answered = heard(port, 1000);
    if (warming > 0) {
      warming = is_answered ? 0 : warming - 1;
      continue;
    }
    left--;
    printf("%lld\n", is_answered ? (long long)(now_ns() - asked) / 1000 : -1LL);
  }
  return 0;
}
