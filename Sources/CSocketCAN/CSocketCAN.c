#define _GNU_SOURCE
#include "CSocketCAN.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <string.h>
#include <unistd.h>

#include <libsocketcan.h>

// libsocketcan tells its troubles on standard error as well as in errno. Only the program speaks there: for the moment of the call the
// descriptor leads elsewhere.
typedef struct {
  int saved;
} hush;

static hush begin(void) {
  hush state = {fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)};
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (state.saved >= 0 && nowhere >= 0) dup2(nowhere, STDERR_FILENO);
  if (nowhere >= 0) close(nowhere);
  errno = 0;
  return state;
}

static int end(hush state, int result) {
  int code = result == 0 ? 0 : errno != 0 ? errno : EOPNOTSUPP;
  if (state.saved >= 0) {
    dup2(state.saved, STDERR_FILENO);
    close(state.saved);
  }
  return code;
}

// The call's arguments are evaluated between begin and end.
#define HUSHED(call)        \
  do {                      \
    hush state = begin();   \
    int result = (call);    \
    code = end(state, result); \
  } while (0)

int socketcan_get_state(const char *name, int *state_out) {
  int code;
  HUSHED(can_get_state(name, state_out));
  return code;
}

int socketcan_get_timing(const char *name, socketcan_timing *timing) {
  struct can_bittiming raw = {0};
  int code;
  HUSHED(can_get_bittiming(name, &raw));
  *timing = (socketcan_timing){raw.bitrate,    raw.sample_point, raw.tq,  raw.prop_seg,
                               raw.phase_seg1, raw.phase_seg2,   raw.sjw, raw.brp};
  return code;
}

int socketcan_get_limits(const char *name, socketcan_limits *limits) {
  struct can_bittiming_const raw = {0};
  int code;
  HUSHED(can_get_bittiming_const(name, &raw));
  *limits = (socketcan_limits){{0},         raw.tseg1_min, raw.tseg1_max, raw.tseg2_min, raw.tseg2_max,
                               raw.sjw_max, raw.brp_min,   raw.brp_max,   raw.brp_inc};
  memcpy(limits->driver, raw.name, sizeof limits->driver - 1);
  return code;
}

int socketcan_get_clock(const char *name, uint32_t *hertz) {
  struct can_clock raw = {0};
  int code;
  HUSHED(can_get_clock(name, &raw));
  *hertz = raw.freq;
  return code;
}

int socketcan_get_restart(const char *name, uint32_t *milliseconds) {
  int code;
  HUSHED(can_get_restart_ms(name, milliseconds));
  return code;
}

int socketcan_get_modes(const char *name, uint32_t *modes) {
  struct can_ctrlmode raw = {0};
  int code;
  HUSHED(can_get_ctrlmode(name, &raw));
  *modes = raw.flags;
  return code;
}

int socketcan_get_error_counters(const char *name, uint16_t *transmit, uint16_t *receive) {
  struct can_berr_counter raw = {0};
  int code;
  HUSHED(can_get_berr_counter(name, &raw));
  *transmit = raw.txerr;
  *receive = raw.rxerr;
  return code;
}

int socketcan_get_events(const char *name, socketcan_events *events) {
  struct can_device_stats raw = {0};
  int code;
  HUSHED(can_get_device_stats(name, &raw));
  *events = (socketcan_events){raw.bus_error, raw.error_warning,    raw.error_passive,
                               raw.bus_off,   raw.arbitration_lost, raw.restarts};
  return code;
}

int socketcan_get_traffic(const char *name, socketcan_traffic *traffic) {
  struct rtnl_link_stats64 raw = {0};
  int code;
  HUSHED(can_get_link_stats(name, &raw));
  *traffic = (socketcan_traffic){raw.rx_packets, raw.tx_packets, raw.rx_bytes,   raw.tx_bytes,
                                 raw.rx_errors,  raw.tx_errors,  raw.rx_dropped, raw.tx_dropped};
  return code;
}

int socketcan_set_rate(const char *name, uint32_t bit_rate, uint32_t sample_point) {
  int code;
  HUSHED(sample_point == 0 ? can_set_bitrate(name, bit_rate) : can_set_bitrate_samplepoint(name, bit_rate, sample_point));
  return code;
}

int socketcan_set_restart(const char *name, uint32_t milliseconds) {
  int code;
  HUSHED(can_set_restart_ms(name, milliseconds));
  return code;
}

int socketcan_set_modes(const char *name, uint32_t mask, uint32_t modes) {
  struct can_ctrlmode raw = {mask, modes};
  int code;
  HUSHED(can_set_ctrlmode(name, &raw));
  return code;
}

int socketcan_start(const char *name) {
  int code;
  HUSHED(can_do_start(name));
  return code;
}

int socketcan_stop(const char *name) {
  int code;
  HUSHED(can_do_stop(name));
  return code;
}

int socketcan_restart(const char *name) {
  int code;
  HUSHED(can_do_restart(name));
  return code;
}
