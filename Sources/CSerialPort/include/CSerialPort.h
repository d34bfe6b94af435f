// Serial ports through libserialport; pseudo-terminals, which it refuses, directly.
#ifndef LINKBMS_CSERIALPORT_H
#define LINKBMS_CSERIALPORT_H

typedef struct serial_port serial_port;

typedef enum { serial_opened, serial_absent, serial_not_permitted, serial_busy, serial_bad_rate, serial_failed } serial_result;

// Opens a device raw, eight bits, no parity, one stop bit, no flow control, not blocking. On failure errno says more, where there is more.
serial_result serial_open(const char *device, int rate, serial_port **port);
int serial_descriptor(const serial_port *port);
void serial_close(serial_port *port);

#endif
