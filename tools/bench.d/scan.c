// What a control loop has to look at, as plain C over the same arrays: extremes with their places, sums, module sums against stacks,
// sensors against their masks, alarm and protect limits. Prints nanoseconds a step.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CHAINS = 2, SLOTS = 210, MODULES = 15, PER_MODULE = 13 };
static uint16_t cells[CHAINS * SLOTS];
static int32_t stacks[CHAINS * MODULES];
static int16_t temperatures[CHAINS * MODULES * 5];
static uint8_t open_sensors[CHAINS * MODULES], shorted[CHAINS * MODULES], enabled[CHAINS * MODULES];
static int32_t limits[12] = {41500, 42000, 30000, 28000, 2000, 4000, 500, 600, 0, -200, 41000, 31000};

typedef struct { int32_t low, high, low_slot, high_slot, cold, hot, cold_slot, hot_slot, fault; uint32_t sum; int64_t stack; unsigned off; } scan_t;

__attribute__((noinline)) static void scan(int chain, int modules, scan_t *out) {
  const uint16_t *c = cells + chain * SLOTS;
  int count = modules * PER_MODULE, low = 65535, high = 0, place;
  uint32_t sum = 0;
  for (int i = 0; i < count; i++) { if (c[i] < low) low = c[i]; if (c[i] > high) high = c[i]; sum += c[i]; }
  for (place = 0; place < count && c[place] != low; place++) {}
  out->low = low; out->low_slot = place;
  for (place = 0; place < count && c[place] != high; place++) {}
  out->high = high; out->high_slot = place; out->sum = sum;
  out->stack = 0; out->off = 0; out->fault = -1;
  for (int m = 0; m < modules; m++) {
    uint32_t own = 0;
    for (int i = 0; i < PER_MODULE; i++) own += c[m * PER_MODULE + i];
    int32_t stack = stacks[chain * MODULES + m], mv = (int32_t)(own / 10);
    out->stack += stack;
    if (llabs((int64_t)stack - mv) * 50 > mv) out->off |= 1u << m;
  }
  int cold = 32767, hot = -32768, cold_slot = 0, hot_slot = 0;
  for (int m = chain * MODULES; m < chain * MODULES + modules; m++) {
    unsigned on = enabled[m], bad = (open_sensors[m] | shorted[m]) & on;
    if (bad && out->fault < 0) out->fault = m * 5 + __builtin_ctz(bad);
    for (on &= ~bad; on; on &= on - 1) {
      int slot = m * 5 + __builtin_ctz(on), t = temperatures[slot];
      if (t < cold) { cold = t; cold_slot = slot; }
      if (t > hot) { hot = t; hot_slot = slot; }
    }
  }
  out->cold = cold; out->hot = hot; out->cold_slot = cold_slot; out->hot_slot = hot_slot;
}

static unsigned judge(const scan_t *s) {
  unsigned bits = 0;
  bits |= (s->high > limits[0]) | (s->high > limits[1]) << 1 | (s->low < limits[2]) << 2 | (s->low < limits[3]) << 3;
  bits |= (unsigned)(s->high - s->low > limits[4]) << 4 | (unsigned)(s->high - s->low > limits[5]) << 5;
  bits |= (unsigned)(s->hot > limits[6]) << 6 | (unsigned)(s->hot > limits[7]) << 7 | (unsigned)(s->cold < limits[8]) << 8;
  bits |= (unsigned)(s->cold < limits[9]) << 9 | (unsigned)(s->high > limits[10]) << 10 | (unsigned)(s->low < limits[11]) << 11;
  return bits;
}

int main(int argc, char **argv) {
  long steps = argc > 1 ? atol(argv[1]) : 1000000;
  for (int i = 0; i < CHAINS * SLOTS; i++) cells[i] = 36000 + i % 37;
  for (int i = 0; i < CHAINS * MODULES; i++) { stacks[i] = 46850; enabled[i] = 0x1F; }
  for (int i = 0; i < CHAINS * MODULES * 5; i++) temperatures[i] = 220 + i % 30;
  struct timespec a, b;
  unsigned long check = 0;
  scan_t s[3];
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
  for (long n = 0; n < steps; n++) {
    cells[n % 195] = 36000 + n % 41;
    scan(0, 15, &s[0]);
    scan(1, 15, &s[1]);
    s[2] = s[0].low <= s[1].low ? s[0] : s[1];
    s[2].high = s[0].high > s[1].high ? s[0].high : s[1].high;
    check += judge(&s[0]) + judge(&s[1]) + judge(&s[2]) + s[2].low_slot + s[0].off + s[1].off + (unsigned long)(s[0].stack + s[1].stack);
  }
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
  printf("%.1f %lu\n", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / steps, check);
}
