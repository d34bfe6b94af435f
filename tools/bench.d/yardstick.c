// yardstick.c - the physical-limit yardstick: one pass over a capture, hand-written, table-driven from a DBC.
//   cc -O3 -pthread -o yardstick yardstick.c
//   limit MODE CAPTURE [DBC] [THREADS]     CAPTURE: candump -L log, classic pcap or pcapng (both LINKTYPE 227, LE)
// MODE  parse   timestamp(ns) + id + data bytes of every frame, validated, checksum only
//       agg     parse + decode every signal + count/min/max/mean of each, printed at the end
//       text    parse + decode every signal + "<input line> :: Msg(Sig: value unit, ...)" a frame (log only, 1 thread)
//       slow:MODE  the same with a byte-at-a-time line scanner instead of the 8-bytes-at-a-time one
// Little-endian signals, decimal factors only (all that hv.dbc and lv.dbc use). Values print exactly, as integer*10^-k.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define ONES 0x0101010101010101u
#define HI (ONES * 0x80)
#define INLINE static inline __attribute__((always_inline))
enum { MAXSIG = 4096, MAXMSG = 512, HASH = 2048, TAIL = 96 };
typedef struct { int num, dec, ll, ul, used; int64_t add; double f, o; char label[64], unit[32]; } Sig;  // cold half
typedef struct { uint32_t id; int n, first, need, nl; char name[64]; } Msg;
typedef struct { int64_t ts; uint32_t id, len; uint64_t data; const uint8_t *next; } Frame;
typedef struct { int64_t min[MAXSIG], max[MAXSIG], sum[MAXSIG], miss[MAXSIG], cnt[MAXMSG + 1]; int64_t frames, bad, first, last; uint64_t check; } Acc;
static Sig sigs[MAXSIG]; static Msg msgs[MAXMSG]; static int nsig, nmsg;
static uint64_t shift[MAXSIG], mask[MAXSIG], sign[MAXSIG];         // hot half, structure of arrays, 8-aligned a message
static uint32_t hmul, hkey[HASH]; static int16_t hval[HASH];       // perfect hash: one multiply, one compare
static int8_t hexv[256];

static void load_dbc(const char *path) {
  FILE *f = fopen(path, "r"); char ln[1024], nm[64], fs[32], os[32], unit[32], sg; unsigned id; int s, w, d;
  if (!f) { perror(path); exit(1); }
  while (fgets(ln, sizeof ln, f)) {
    if (sscanf(ln, "BO_ %u %55[^:]: %d", &id, nm, &d) == 3) {
      nsig = (nsig + 7) & ~7; Msg *m = &msgs[nmsg++]; m->id = id; m->first = nsig; m->nl = sprintf(m->name, " :: %s(", nm);
    } else if (unit[0] = 0, sscanf(ln, " SG_ %55s : %d|%d@1%c (%30[^,],%30[^)]) [%*[^]]] \"%20[^\"]\"", nm, &s, &w, &sg, fs, os, unit) >= 6) {
      Msg *m = &msgs[nmsg - 1]; Sig *g = &sigs[nsig]; const char *dot = strchr(fs, '.'); double p = 1;
      shift[nsig] = (uint64_t)s; mask[nsig] = w == 64 ? ~0ull : (1ull << w) - 1; sign[nsig] = sg == '-' ? 1ull << (w - 1) : 0;
      g->used = (s + w + 7) / 8; if (g->used > m->need) m->need = g->used;
      g->f = atof(fs); g->o = atof(os); g->dec = dot ? (int)strlen(dot + 1) : 0; for (int i = 0; i < g->dec; i++) p *= 10;
      g->num = (int)(g->f * p + .5); g->add = (int64_t)(g->o * p + (g->o < 0 ? -.5 : .5));
      g->ll = sprintf(g->label, "%s%s: ", m->n ? ", " : "", nm); g->ul = sprintf(g->unit, unit[0] ? " %s" : "%s", unit);
      m->n++; nsig++;
    }
  }
  fclose(f);
  for (hmul = 0x9E3779B1u;; hmul += 2) {                           // search a multiplier without collisions
    memset(hval, 0xFF, sizeof hval); int i = 0;
    for (; i < nmsg; i++) { uint32_t h = (msgs[i].id * hmul) >> 21; if (hval[h] >= 0) break; hval[h] = (int16_t)i; hkey[h] = msgs[i].id; }
    if (i == nmsg) return;
  }
}
INLINE int find(uint32_t id) { uint32_t h = (id * hmul) >> 21; return hkey[h] == id ? hval[h] : -1; }

INLINE uint64_t ld(const uint8_t *p) { uint64_t x; memcpy(&x, p, 8); return x; }
INLINE uint64_t hex8(uint64_t x, uint64_t *bad) {                  // 8 hex digits -> 4 bytes in memory order
  uint64_t y = x | ONES * 0x20, d = (x + ONES * 0x50) & ~(x + ONES * 0x46), l = (y + ONES * 0x1F) & ~(y + ONES * 0x19);
  *bad |= (~(d | l) | x) & HI;
  uint64_t n = (x & ONES * 0x0F) + ((x >> 6) & ONES) * 9;
  n = (n << 4 | n >> 8) & 0x00FF00FF00FF00FFu; n = (n | n >> 8) & 0x0000FFFF0000FFFFu; return (n | n >> 16) & 0xFFFFFFFFu;
}
INLINE uint64_t dec8(uint64_t x, uint64_t *bad) {                  // 8 decimal digits -> value
  *bad |= ((x + ONES * 0x46) | (x - ONES * 0x30)) & HI;
  x -= ONES * 0x30; x = x * 10 + (x >> 8);
  return ((x & 0x000000FF000000FFu) * 0x000F424000000064u + ((x >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u) >> 32;
}
INLINE uint64_t zero(uint64_t x) { return (x - ONES) & ~x & HI; }  // lowest set bit marks the first zero byte
INLINE int scan_fast(const uint8_t *p, Frame *f) {                 // the common shape; needs TAIL readable bytes
  uint64_t bad = 0, z, k = 16; const uint8_t *q = p + 20;
  uint64_t hi = dec8(ld(p + 1), &bad), lo = dec8((ld(p + 9) & 0xFFFF) | ld(p + 12) << 16, &bad);   // ss + 6 digits
  z = zero(ld(q) ^ ONES * ' ');                                    // end of the interface name (<= 7 letters)
  if (!((p[0] == '(') & (p[11] == '.') & (p[18] == ')') & (p[19] == ' ') & (z != 0))) return 0;
  q += (__builtin_ctzll(z) >> 3) + 1;
  int ext = q[8] == '#'; if (!ext && q[3] != '#') return 0;
  uint32_t id = __builtin_bswap32((uint32_t)hex8(ext ? ld(q) : ld(q) << 40 | 0x3030303030u, &bad)) | (uint32_t)ext << 31;
  q += ext ? 9 : 4;
  uint64_t a = ld(q), b = ld(q + 8);
  if (q[16] != '\n') {                                             // DLC < 8: find the end, pad with '0'
    uint64_t za = zero(a ^ ONES * '\n'), zb = zero(b ^ ONES * '\n');
    if (za) { k = (uint64_t)__builtin_ctzll(za) >> 3; uint64_t m = (1ull << 8 * k) - 1; a = (a & m) | (ONES * '0' & ~m); b = ONES * '0'; }
    else if (zb) { k = (uint64_t)__builtin_ctzll(zb) >> 3; uint64_t m = (1ull << 8 * k) - 1; b = (b & m) | (ONES * '0' & ~m); k += 8; }
    else return 0;
  }
  f->data = hex8(a, &bad) | hex8(b, &bad) << 32;
  f->ts = (int64_t)(hi * 100000000u + lo) * 1000; f->id = id; f->len = (uint32_t)k / 2; f->next = q + k + 1;
  return !(bad | (k & 1));
}
static int scan_slow(const uint8_t *p, const uint8_t *end, Frame *f) {   // any candump -L data frame, byte at a time
  int64_t s = 0, us = 0; uint64_t id = 0, data = 0; uint32_t n = 0, k = 0; int h;
  if (p >= end || *p++ != '(') return 0;
  while (p < end && (unsigned)(*p - '0') < 10) s = s * 10 + (*p++ - '0');
  if (p >= end || *p++ != '.') return 0;
  for (; p < end && (unsigned)(*p - '0') < 10; k++) us = us * 10 + (*p++ - '0');
  if (k != 6 || end - p < 2 || *p++ != ')') return 0;
  while (p < end && *p == ' ') p++;
  while (p < end && *p > ' ') p++;
  while (p < end && *p == ' ') p++;
  for (k = 0; p < end && (h = hexv[*p]) >= 0; p++, k++) id = id << 4 | (unsigned)h;
  if ((k != 3 && k != 8) || p >= end || *p++ != '#') return 0;
  for (; n < 8 && end - p >= 2 && hexv[p[0]] >= 0 && hexv[p[1]] >= 0; n++, p += 2) data |= (uint64_t)(hexv[p[0]] << 4 | hexv[p[1]]) << 8 * n;
  if (p < end && *p == '\r') p++;
  if (p < end && *p++ != '\n') return 0;
  *f = (Frame){(s * 1000000 + us) * 1000, (uint32_t)id | (k == 8 ? 0x80000000u : 0), n, data, p}; return 1;
}

INLINE void aggregate(Acc *A, const Frame *f) {
  int mi = find(f->id); if (mi < 0) { A->cnt[MAXMSG]++; return; }
  const Msg *m = &msgs[mi]; int short_ = (int)f->len < m->need; A->cnt[mi]++;
#ifdef __AVX512F__                                                 // 8 signals a step
  if (!short_) for (int b = m->first, e = b + m->n; b < e; b += 8) for (int j = b; j < b + 8; j++) {
#else
  if (!short_) for (int j = m->first, e = j + m->n; j < e; j++) {
#endif
    int64_t v = (int64_t)((((f->data >> shift[j]) & mask[j]) ^ sign[j]) - sign[j]);
    A->min[j] = v < A->min[j] ? v : A->min[j]; A->max[j] = v > A->max[j] ? v : A->max[j]; A->sum[j] += v;
  }
  else for (int j = m->first, e = j + m->n; j < e; j++) {
    if (sigs[j].used > (int)f->len) { A->miss[j]++; continue; }
    int64_t v = (int64_t)((((f->data >> shift[j]) & mask[j]) ^ sign[j]) - sign[j]);
    if (v < A->min[j]) A->min[j] = v;
    if (v > A->max[j]) A->max[j] = v;
    A->sum[j] += v;
  }
}
static char obuf[(1 << 20) + 65536]; static size_t on;
static void flush(void) { for (size_t o = 0; o < on;) { ssize_t r = write(1, obuf + o, on - o); if (r <= 0) exit(1); o += (size_t)r; } on = 0; }
INLINE char *put(char *o, const char *s, int n, int cap) { memcpy(o, s, (size_t)cap); return o + n; }   // fixed-size copy, then advance
INLINE char *fixed(char *o, int64_t v, int dec) {                  // v * 10^-dec, trailing zeros kept out like "%g"
  static const char two[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
  char t[24]; int i = 24; uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v; *o = '-'; o += v < 0;
  if (dec) {
    int zeros = 1;
    for (int d = 0; d < dec; d++) { char c = (char)('0' + u % 10); u /= 10; if (zeros && c == '0' && d + 1 < dec) continue; zeros = 0; t[--i] = c; }
    t[--i] = '.';
  }
  while (u >= 100) { memcpy(&t[i -= 2], two + 2 * (u % 100), 2); u /= 100; }
  if (u >= 10) memcpy(&t[i -= 2], two + 2 * u, 2); else t[--i] = (char)('0' + u);
  memcpy(o, t + i, (size_t)(24 - i)); return o + 24 - i;
}
INLINE void text(const uint8_t *line, const Frame *f) {
  char *o = obuf + on; int n = (int)(f->next - line) - (f->next[-1] == '\n'), mi = find(f->id);
  memcpy(o, line, (size_t)n); o += n;
  if (mi >= 0) {
    const Msg *m = &msgs[mi]; o = put(o, m->name, m->nl, 64);
    for (int j = m->first, e = j + m->n; j < e; j++) {
      const Sig *g = &sigs[j]; if (g->used > (int)f->len) continue;
      int64_t v = (int64_t)((((f->data >> shift[j]) & mask[j]) ^ sign[j]) - sign[j]);
      o = put(o, g->label, g->ll, 64); o = fixed(o, v * g->num + g->add, g->dec); o = put(o, g->unit, g->ul, 32);
    }
    *o++ = ')';
  } else o = put(o, " :: Unknown", 11, 12);
  *o++ = '\n'; on = (size_t)(o - obuf); if (on > 1 << 20) flush();
}

enum { PARSE, AGG, TEXT };
INLINE void frame(int mode, Acc *A, const Frame *f, const uint8_t *line) {
  if (!A->frames++) A->first = f->ts;
  A->last = f->ts;
  if (mode == PARSE) A->check += ((uint64_t)f->ts ^ f->data) + f->id + f->len;
  if (mode == AGG) aggregate(A, f);
  if (mode == TEXT) text(line, f);
}
INLINE void log_pass(int mode, int fast, Acc *A, const uint8_t *p, const uint8_t *end, const uint8_t *eof) {
  Frame f;
  while (p < end) {
    if ((fast && eof - p >= TAIL && scan_fast(p, &f)) || scan_slow(p, eof, &f)) { frame(mode, A, &f, p); p = f.next; continue; }
    A->bad++; p = memchr(p, '\n', (size_t)(eof - p)); p = p ? p + 1 : eof;
  }
}
INLINE int packet(int64_t ts, const uint8_t *d, uint32_t cap, Frame *f) {    // 8-byte SocketCAN header + payload
  uint32_t id; memcpy(&id, d, 4); id = __builtin_bswap32(id); f->len = d[4];
  if (cap < 8 || f->len > 8 || cap < 8 + f->len || id & 0x60000000u) return 0;
  f->ts = ts; f->id = id; f->data = 0; if (f->len == 8) f->data = ld(d + 8); else memcpy(&f->data, d + 8, f->len);
  return 1;
}
INLINE void pcap_pass(int mode, Acc *A, const uint8_t *p, const uint8_t *end) {
  uint32_t h[4]; Frame f; int64_t scale; memcpy(h, p, 4); scale = h[0] == 0xA1B23C4D ? 1 : 1000;
  for (p += 24; end - p >= 16; p += 16 + h[2]) {
    memcpy(h, p, 16); if ((uint64_t)(end - p) < 16ull + h[2]) { A->bad++; return; }
    if (packet(h[0] * 1000000000ll + h[1] * scale, p + 16, h[2], &f)) frame(mode, A, &f, p); else A->bad++;
  }
}
INLINE void ng_pass(int mode, Acc *A, const uint8_t *p, const uint8_t *end) {
  uint32_t h[7]; Frame f;
  for (; end - p >= 12; p += h[1]) {
    memcpy(h, p, 8); if (h[1] < 12 || h[1] & 3 || (uint64_t)(end - p) < h[1]) { A->bad++; return; }
    if (h[0] != 6) continue;
    memcpy(h, p, 28);
    if (h[5] <= h[1] - 32 && packet((int64_t)((uint64_t)h[3] << 32 | h[4]) * 1000, p + 28, h[5], &f)) frame(mode, A, &f, p); else A->bad++;
  }
}
static int mode, fast = 1; static const uint8_t *base, *eof; static int kind;
typedef struct { const uint8_t *p, *end; Acc *A; pthread_t t; } Job;
static void *work(void *x) {
  Job *j = x;
  switch (kind * 8 + mode * 2 + fast) {
  case 0: log_pass(PARSE, 0, j->A, j->p, j->end, eof); break; case 1: log_pass(PARSE, 1, j->A, j->p, j->end, eof); break;
  case 2: log_pass(AGG, 0, j->A, j->p, j->end, eof); break;   case 3: log_pass(AGG, 1, j->A, j->p, j->end, eof); break;
  case 4: log_pass(TEXT, 0, j->A, j->p, j->end, eof); break;  case 5: log_pass(TEXT, 1, j->A, j->p, j->end, eof); break;
  case 9: pcap_pass(PARSE, j->A, j->p, j->end); break;        case 11: pcap_pass(AGG, j->A, j->p, j->end); break;
  case 17: ng_pass(PARSE, j->A, j->p, j->end); break;         case 19: ng_pass(AGG, j->A, j->p, j->end); break;
  default: fprintf(stderr, "that mode does not fit that capture\n"); exit(2);
  }
  return 0;
}
int main(int argc, char **argv) {
  if (argc < 3) return fprintf(stderr, "usage: limit [slow:]parse|agg|text CAPTURE [DBC] [THREADS]\n"), 2;
  const char *m = argv[1]; if (!strncmp(m, "slow:", 5)) m += 5, fast = 0;
  mode = *m == 'p' ? PARSE : *m == 'a' ? AGG : TEXT;
  memset(hexv, -1, 256); for (int i = 0; i < 16; i++) hexv[(int)"0123456789ABCDEF"[i]] = hexv[(int)"0123456789abcdef"[i]] = (int8_t)i;
  if (mode != PARSE) load_dbc(argc > 3 ? argv[3] : "hv.dbc");
  int fd = open(argv[2], O_RDONLY); struct stat st; if (fd < 0 || fstat(fd, &st) || !st.st_size) { perror(argv[2]); return 1; }
  base = mmap(0, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0); if (base == MAP_FAILED) { perror("mmap"); return 1; }
  eof = base + st.st_size; uint32_t magic = 0; if (st.st_size >= 4) memcpy(&magic, base, 4);
  kind = magic == 0xA1B2C3D4 || magic == 0xA1B23C4D ? 1 : magic == 0x0A0D0D0A ? 2 : 0;
  int n = argc > 4 && !kind && mode != TEXT ? atoi(argv[4]) : 1; if (n < 1 || n > 64) n = 1;
  Job jobs[64]; const uint8_t *p = base;
  for (int i = 0; i < n; i++) {
    const uint8_t *e = i == n - 1 ? eof : base + st.st_size / n * (i + 1);
    if (e < eof) { if (e < p) e = p; e = memchr(e, '\n', (size_t)(eof - e)); e = e ? e + 1 : eof; }
    Acc *A = aligned_alloc(64, (sizeof *A + 63) & ~63ul); memset(A, 0, sizeof *A);
    for (int j = 0; j < MAXSIG; j++) A->min[j] = INT64_MAX, A->max[j] = INT64_MIN;
    jobs[i] = (Job){p, e, A, 0}; p = e;
    if (i) pthread_create(&jobs[i].t, 0, work, &jobs[i]);
  }
  work(&jobs[0]); Acc *A = jobs[0].A;
  for (int i = 1; i < n; i++) {
    pthread_join(jobs[i].t, 0); Acc *B = jobs[i].A; A->frames += B->frames; A->bad += B->bad; A->check += B->check; if (B->frames) A->last = B->last;
    for (int j = 0; j <= MAXMSG; j++) A->cnt[j] += B->cnt[j];
    for (int j = 0; j < nsig; j++) { A->sum[j] += B->sum[j]; A->miss[j] += B->miss[j]; if (B->min[j] < A->min[j]) A->min[j] = B->min[j]; if (B->max[j] > A->max[j]) A->max[j] = B->max[j]; }
  }
  if (mode == TEXT) flush();
  else printf("frames %lld bad %lld unknown %lld first %lld last %lld check %016llx\n", (long long)A->frames, (long long)A->bad, (long long)A->cnt[MAXMSG], (long long)A->first, (long long)A->last, (unsigned long long)A->check);
  if (mode == AGG) for (int i = 0; i < nmsg; i++) for (int j = msgs[i].first; j < msgs[i].first + msgs[i].n; j++) {
    int64_t c = A->cnt[i] - A->miss[j]; if (!c) continue;
    printf("%08X %.*s n=%lld min=%.10g max=%.10g mean=%.10g\n", msgs[i].id, sigs[j].ll - 2 - (j > msgs[i].first ? 2 : 0), sigs[j].label + (j > msgs[i].first ? 2 : 0),
           (long long)c, A->min[j] * sigs[j].f + sigs[j].o, A->max[j] * sigs[j].f + sigs[j].o, (double)A->sum[j] / (double)c * sigs[j].f + sigs[j].o);
  }
  return 0;
}
