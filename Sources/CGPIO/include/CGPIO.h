// Lines of a GPIO chip through libgpiod, whose two generations have different calls: 1.6 (Debian 12, Ubuntu 24.04) and 2 (Debian 13).
#ifndef LINKBMS_CGPIO_H
#define LINKBMS_CGPIO_H

#include <stddef.h>
#include <stdint.h>

enum { GPIO_LINES_OUTPUT = 1, GPIO_LINES_ACTIVE_LOW = 2, GPIO_LINES_PULL_UP = 4, GPIO_LINES_PULL_DOWN = 8, GPIO_LINES_ROOM = 16 };

typedef struct gpio_lines gpio_lines;

// Takes lines of the chip at `path`; outputs begin inactive. Returns NULL with errno where that cannot be; `failed` is then the place
// of the line in `offsets`, or -1 for the chip itself.
gpio_lines *gpio_lines_open(const char *path, const uint32_t *offsets, const uint32_t *flags, size_t count, ptrdiff_t *failed);
// Whether a line is active: 0, 1, or -1 with errno.
int gpio_lines_get(gpio_lines *lines, size_t place);
// 0, or -1 with errno.
int gpio_lines_set(gpio_lines *lines, size_t place, int value);
void gpio_lines_close(gpio_lines *lines);

#endif
