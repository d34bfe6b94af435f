// Live capture of CAN interfaces through libpcap, with its filter language.
#ifndef LINKBMS_CPCAP_H
#define LINKBMS_CPCAP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pcap_capture pcap_capture;

typedef enum {
  pcap_capture_opened,
  pcap_capture_absent,
  pcap_capture_down,
  pcap_capture_not_permitted,
  pcap_capture_not_can,
  pcap_capture_bad_filter,
  pcap_capture_failed,
} pcap_capture_result;

// Opens an interface whose link type is CAN (227). `text` gets libpcap's words where something failed.
pcap_capture_result pcap_capture_open(
    const char *interface, const char *filter, int buffer_bytes, pcap_capture **capture, char *text, int text_size);
void pcap_capture_close(pcap_capture *capture);
int pcap_capture_descriptor(const pcap_capture *capture);

typedef struct {
  int64_t time_ns;
  uint32_t length;       // bytes of the packet that are in `bytes`
  uint8_t bytes[8 + 64]; // the header of link type 227, then the data
} pcap_capture_packet;

// Up to `count` packets that pass the filter, and whether more may wait; -1 where the interface went away, with libpcap's words in `text`.
int pcap_capture_read(pcap_capture *capture, pcap_capture_packet *packets, int count, bool *more, char *text, int text_size);
// Packets that the kernel dropped since it was opened.
uint32_t pcap_capture_dropped(pcap_capture *capture);

#endif
