#define _GNU_SOURCE
#include "CSerialPort.h"

#include <errno.h>
#include <fcntl.h>
#include <libserialport.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

struct serial_port {
  struct sp_port *port;  // NULL for a pseudo-terminal
  int descriptor;
};

static serial_result reason(int code) {
  switch (code) {
    case ENOENT:
    case ENODEV:
    case ENXIO: return serial_absent;
    case EACCES:
    case EPERM: return serial_not_permitted;
    case EBUSY: return serial_busy;
    default: return serial_failed;
  }
}

static serial_result open_pseudo_terminal(const char *device, serial_port *port) {
  port->descriptor = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (port->descriptor < 0) return reason(errno);
  struct termios settings;
  if (tcgetattr(port->descriptor, &settings) != 0) {
    int saved = errno;
    close(port->descriptor);
    errno = saved;
    return serial_failed;
  }
  cfmakeraw(&settings);
  tcsetattr(port->descriptor, TCSANOW, &settings);
  return serial_opened;
}

static serial_result open_port(const char *device, int rate, serial_port *port) {
  errno = 0;
  if (sp_get_port_by_name(device, &port->port) != SP_OK) {
    port->port = NULL;
    return reason(errno);
  }
  if (sp_open(port->port, SP_MODE_READ_WRITE) != SP_OK) {
    int saved = errno;
    sp_free_port(port->port);
    errno = saved;
    return reason(saved);
  }
  if (sp_set_baudrate(port->port, rate) != SP_OK || sp_set_bits(port->port, 8) != SP_OK ||
      sp_set_parity(port->port, SP_PARITY_NONE) != SP_OK || sp_set_stopbits(port->port, 1) != SP_OK ||
      sp_set_flowcontrol(port->port, SP_FLOWCONTROL_NONE) != SP_OK ||
      sp_get_port_handle(port->port, &port->descriptor) != SP_OK) {
    sp_close(port->port);
    sp_free_port(port->port);
    return serial_bad_rate;
  }
  fcntl(port->descriptor, F_SETFL, fcntl(port->descriptor, F_GETFL) | O_NONBLOCK);
  fcntl(port->descriptor, F_SETFD, FD_CLOEXEC);
  return serial_opened;
}

serial_result serial_open(const char *device, int rate, serial_port **port) {
  struct stat status;
  if (stat(device, &status) != 0) return reason(errno);
  if (!S_ISCHR(status.st_mode)) {
    errno = ENOTTY;
    return serial_failed;
  }
  serial_port *made = calloc(1, sizeof *made);
  if (!made) return serial_failed;
  char path[4096];
  const char *real = realpath(device, path);
  serial_result result =
      real && strncmp(real, "/dev/pts/", 9) == 0 ? open_pseudo_terminal(real, made) : open_port(device, rate, made);
  if (result != serial_opened) {
    int saved = errno;
    free(made);
    errno = saved;
    return result;
  }
  *port = made;
  return serial_opened;
}

int serial_descriptor(const serial_port *port) { return port->descriptor; }

void serial_close(serial_port *port) {
  if (port->port) {
    sp_close(port->port);
    sp_free_port(port->port);
  } else {
    close(port->descriptor);
  }
  free(port);
}
