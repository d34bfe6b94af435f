// Settings and state of CAN interfaces through libsocketcan, which talks to the kernel by netlink.
#ifndef LINKBMS_CSOCKETCAN_H
#define LINKBMS_CSOCKETCAN_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  uint32_t bit_rate, sample_point, tq_ns, propagation, phase1, phase2, jump_width, prescaler;
} socketcan_timing;

typedef struct {
  char driver[17];
  uint32_t segment1_min, segment1_max, segment2_min, segment2_max, jump_width_max, prescaler_min, prescaler_max, prescaler_step;
} socketcan_limits;

typedef struct {
  uint32_t bus_errors, warnings, passives, bus_offs, arbitration_losses, restarts;
} socketcan_events;

typedef struct {
  uint64_t received_frames, sent_frames, received_bytes, sent_bytes, receive_errors, send_errors, receive_dropped, send_dropped;
} socketcan_traffic;

// All return 0, or errno (EOPNOTSUPP where the kernel does not say).
int socketcan_get_state(const char *name, int *state);
int socketcan_get_timing(const char *name, socketcan_timing *timing);
int socketcan_get_limits(const char *name, socketcan_limits *limits);
int socketcan_get_clock(const char *name, uint32_t *hertz);
int socketcan_get_restart(const char *name, uint32_t *milliseconds);
int socketcan_get_modes(const char *name, uint32_t *modes);
int socketcan_get_error_counters(const char *name, uint16_t *transmit, uint16_t *receive);
int socketcan_get_events(const char *name, socketcan_events *events);
int socketcan_get_traffic(const char *name, socketcan_traffic *traffic);

// A sample point of 0 leaves the choice to the kernel; else tenths of a percent.
int socketcan_set_rate(const char *name, uint32_t bit_rate, uint32_t sample_point);
int socketcan_set_restart(const char *name, uint32_t milliseconds);
int socketcan_set_modes(const char *name, uint32_t mask, uint32_t modes);
int socketcan_start(const char *name);
int socketcan_stop(const char *name);
int socketcan_restart(const char *name);

#endif
