#include "CPcap.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { link_type_can = 227 };

// The filter runs here, not in the kernel: there an ID lies in the machine's byte order, which libpcap turns round only afterwards, so
// that one filter would mean two things, live and on a file.
struct pcap_capture {
  pcap_t *handle;
  bool has_filter;
  struct bpf_program filter;
};

typedef struct {
  const pcap_capture *capture;
  pcap_capture_packet *packets;
  int count;
} sink;

static pcap_capture_result give_up(pcap_t *handle, pcap_capture_result result, char *text, int text_size) {
  snprintf(text, (size_t)text_size, "%s", pcap_geterr(handle));
  pcap_close(handle);
  return result;
}

pcap_capture_result pcap_capture_open(
    const char *interface, const char *filter, int buffer_bytes, pcap_capture **capture, char *text, int text_size) {
  char error[PCAP_ERRBUF_SIZE] = "";
  text[0] = 0;
  pcap_t *handle = pcap_create(interface, error);
  if (!handle) {
    snprintf(text, (size_t)text_size, "%s", error);
    return pcap_capture_failed;
  }
  pcap_set_snaplen(handle, 4096);
  pcap_set_timeout(handle, 100);
  pcap_set_immediate_mode(handle, 1);
  pcap_set_buffer_size(handle, buffer_bytes);
  pcap_set_tstamp_precision(handle, PCAP_TSTAMP_PRECISION_NANO);
  int status = pcap_activate(handle);
  if (status < 0) {
    pcap_capture_result result = pcap_capture_failed;
    if (status == PCAP_ERROR_NO_SUCH_DEVICE) result = pcap_capture_absent;
    if (status == PCAP_ERROR_IFACE_NOT_UP) result = pcap_capture_down;
    if (status == PCAP_ERROR_PERM_DENIED) result = pcap_capture_not_permitted;
    return give_up(handle, result, text, text_size);
  }
  if (pcap_datalink(handle) != link_type_can) return give_up(handle, pcap_capture_not_can, text, text_size);
  struct bpf_program program = {0};
  if (filter[0] && pcap_compile(handle, &program, filter, 1, PCAP_NETMASK_UNKNOWN) != 0) {
    return give_up(handle, pcap_capture_bad_filter, text, text_size);
  }
  if (pcap_setnonblock(handle, 1, error) != 0) return give_up(handle, pcap_capture_failed, text, text_size);
  *capture = malloc(sizeof **capture);
  if (!*capture) return give_up(handle, pcap_capture_failed, text, text_size);
  **capture = (pcap_capture){handle, filter[0] != 0, program};
  return pcap_capture_opened;
}

void pcap_capture_close(pcap_capture *capture) {
  pcap_close(capture->handle);
  if (capture->has_filter) pcap_freecode(&capture->filter);
  free(capture);
}

int pcap_capture_descriptor(const pcap_capture *capture) { return pcap_get_selectable_fd(capture->handle); }

static void take(u_char *context, const struct pcap_pkthdr *header, const u_char *bytes) {
  sink *into = (sink *)context;
  if (into->capture->has_filter && pcap_offline_filter(&into->capture->filter, header, bytes) == 0) return;
  pcap_capture_packet *packet = &into->packets[into->count++];
  // Nanoseconds were asked for: that is what this field then holds.
  packet->time_ns = header->ts.tv_sec * 1000000000LL + header->ts.tv_usec;
  packet->length = header->caplen < sizeof packet->bytes ? header->caplen : sizeof packet->bytes;
  memcpy(packet->bytes, bytes, packet->length);
}

int pcap_capture_read(pcap_capture *capture, pcap_capture_packet *packets, int count, bool *more, char *text, int text_size) {
  sink into = {capture, packets, 0};
  int seen = pcap_dispatch(capture->handle, count, take, (u_char *)&into);
  if (seen < 0 && into.count == 0) {
    snprintf(text, (size_t)text_size, "%s", pcap_geterr(capture->handle));
    return -1;
  }
  *more = seen >= count;
  return into.count;
}

uint32_t pcap_capture_dropped(pcap_capture *capture) {
  struct pcap_stat stat = {0};
  return pcap_stats(capture->handle, &stat) == 0 ? stat.ps_drop : 0;
}
