// generate.c - synthetic BMS<->inverter CAN captures, deterministic, any size.
//   cc -O2 -o generate generate.c && ./generate KIND FORMAT FRAMES > file
// KIND   hv  29-bit Pylontech-HV-like: 0x4200 poll each second + replies 0x4210..0x4290 (see hv.dbc)
//        lv  11-bit 0x35x broadcast + 0x305 inverter heartbeat, DLC 2..8      (see lv.dbc)
// FORMAT log    candump -L        "(1700000000.123456) can0 00004210#0102030405060708"
//        pcap   classic, LINKTYPE_CAN_SOCKETCAN (227), microseconds
//        pcapng one SHB + one IDB + one EPB a frame
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 0x9E3779B97F4A7C15u;
static uint32_t rnd(void) {                       // xorshift64*
  seed ^= seed >> 12; seed ^= seed << 25; seed ^= seed >> 27;
  return (uint32_t)((seed * 0x2545F4914F6CDD1Du) >> 32);
}
static int walk(int v, int lo, int hi, int step) { // bounded random walk
  v += (int)(rnd() % (unsigned)(2 * step + 1)) - step;
  return v < lo ? lo : v > hi ? hi : v;
}
static void le16(uint8_t *p, int v) { p[0] = (uint8_t)v; p[1] = (uint8_t)((unsigned)v >> 8); }
static void le32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }

static int volt = 4000, amp = 0, temp = 1230, soc = 60, soh = 99, cmax = 3330, cmin = 3310, cyc = 412;
static void step(void) {
  amp = walk(amp, -800, 800, 25); volt = walk(volt, 3600, 4300, 3); temp = walk(temp, 1100, 1450, 1);
  if (rnd() % 300 == 0) soc = walk(soc, 5, 100, 1);
  cmax = walk(cmax, 3300, 3600, 2); cmin = walk(cmin, 2900, 3299, 2);
}

static int hv(int k, uint8_t *d) {
  memset(d, 0, 8);
  switch (k) {
  case 0: d[0] = rnd() % 8 == 0 ? 2 : 0; break;                                            // 4200 poll
  case 1: le16(d, volt); le16(d + 2, amp + 30000); le16(d + 4, temp); d[6] = soc; d[7] = soh; break;
  case 2: le16(d, 4320); le16(d + 2, 3480); le16(d + 4, 30000 + 8 * (100 - soc)); le16(d + 6, 30000 - 10 * soc); break;
  case 3: le16(d, cmax); le16(d + 2, cmin); le16(d + 4, rnd() % 240); le16(d + 6, rnd() % 240); break;
  case 4: le16(d, temp + 15); le16(d + 2, temp - 22); le16(d + 4, rnd() % 120); le16(d + 6, rnd() % 120); break;
  case 5: d[0] = (amp > 5 ? 1 : amp < -5 ? 2 : 3) | (soc < 10) << 3 | (rnd() % 64 == 0) << 4; le16(d + 1, cyc);
          d[4] = rnd() % 32 ? 0 : 1u << rnd() % 8; d[6] = rnd() % 256 ? 0 : 1u << rnd() % 8; break;
  case 6: le16(d, 15 * cmax); le16(d + 2, 15 * cmin); le16(d + 4, rnd() % 16); le16(d + 6, rnd() % 16); break;
  case 7: le16(d, temp + 10); le16(d + 2, temp - 10); le16(d + 4, rnd() % 16); le16(d + 6, rnd() % 16); break;
  case 8: d[0] = soc > 99 ? 0xAA : 0; d[1] = soc < 6 ? 0xAA : 0; break;
  case 9: d[0] = rnd() % 512 ? 0 : 1; d[1] = d[0]; d[2] = rnd(); break;
  }
  return 8;
}
static const uint32_t hvid[10] = {0x4200, 0x4210, 0x4220, 0x4230, 0x4240, 0x4250, 0x4260, 0x4270, 0x4280, 0x4290};

static int lv(int k, uint8_t *d) {
  memset(d, 0, 8);
  switch (k) {
  case 0: d[0] = rnd() % 64 ? 0 : 1u << rnd() % 8; d[1] = rnd() % 64 ? 0 : 1; d[2] = d[0]; d[4] = 4; d[5] = 'P'; d[6] = 'N'; return 7;
  case 1: le16(d, 532); le16(d + 2, 740); le16(d + 4, -740 - soc); le16(d + 6, 460); return 8;
  case 2: le16(d, soc); le16(d + 2, soh); return 4;
  case 3: le16(d, volt / 8 * 10); le16(d + 2, amp); le16(d + 4, temp - 1000); return 6;
  case 4: d[0] = 0xC0 | (soc < 10 ? 0x20 : 0); return 2;
  case 5: memcpy(d, "PYLON   ", 8); return 8;
  default: return 8;                                                                       // 0x305, zeros
  }
}
static const uint32_t lvid[7] = {0x359, 0x351, 0x355, 0x356, 0x35C, 0x35E, 0x305};

int main(int argc, char **argv) {
  if (argc != 4) return fprintf(stderr, "usage: gen hv|lv log|pcap|pcapng FRAMES\n"), 2;
  int isHv = !strcmp(argv[1], "hv"), period = isHv ? 10 : 7;
  char f = !strcmp(argv[2], "log") ? 'l' : !strcmp(argv[2], "pcap") ? 'p' : 'n';
  uint64_t n = strtoull(argv[3], 0, 10), us = 1700000000000000u, sec0 = us;
  static char big[1 << 20];
  setvbuf(stdout, big, _IOFBF, sizeof big);
  if (f == 'p') { uint32_t h[6] = {0xA1B2C3D4u, 2u | 4u << 16, 0, 0, 65535, 227}; fwrite(h, 1, 24, stdout); }
  if (f == 'n') {
    uint32_t shb[7] = {0x0A0D0D0A, 28, 0x1A2B3C4D, 1, ~0u, ~0u, 28}, idb[5] = {1, 20, 227, 0, 20};
    fwrite(shb, 1, 28, stdout); fwrite(idb, 1, 20, stdout);
  }
  for (uint64_t i = 0; i < n; i++) {
    int k = (int)(i % (unsigned)period); uint8_t d[8];
    if (k == 0) { step(); us = sec0 + (i / (unsigned)period) * 1000000u + rnd() % 900; }
    else us += 900 + rnd() % 2100;
    int len = isHv ? hv(k, d) : lv(k, d);
    uint32_t id = isHv ? hvid[k] : lvid[k];
    if (f == 'l') {
      char b[64]; static const char X[] = "0123456789ABCDEF";
      int o = sprintf(b, isHv ? "(%010u.%06u) can0 %08X#" : "(%010u.%06u) can0 %03X#", (unsigned)(us / 1000000), (unsigned)(us % 1000000), id);
      for (int j = 0; j < len; j++) b[o++] = X[d[j] >> 4], b[o++] = X[d[j] & 15];
      b[o++] = '\n'; fwrite(b, 1, (size_t)o, stdout);
    } else {
      uint8_t r[48]; uint32_t w = isHv ? id | 0x80000000u : id; int o = f == 'p' ? 16 : 28, pad = (len + 3) & ~3;
      memset(r, 0, sizeof r);
      if (f == 'p') { le32(r, (uint32_t)(us / 1000000)); le32(r + 4, (uint32_t)(us % 1000000)); le32(r + 8, 8u + (unsigned)len); le32(r + 12, 8u + (unsigned)len); }
      else { le32(r, 6); le32(r + 4, 40u + (unsigned)pad); le32(r + 12, (uint32_t)(us >> 32)); le32(r + 16, (uint32_t)us); le32(r + 20, 8u + (unsigned)len); le32(r + 24, 8u + (unsigned)len); }
      r[o] = w >> 24; r[o + 1] = w >> 16; r[o + 2] = w >> 8; r[o + 3] = w; r[o + 4] = (uint8_t)len; memcpy(r + o + 8, d, (size_t)len);
      if (f == 'p') o += 8 + len; else { o += 8 + pad; le32(r + o, 40u + (unsigned)pad); o += 4; }
      fwrite(r, 1, (size_t)o, stdout);
    }
  }
  return fclose(stdout) != 0;
}
