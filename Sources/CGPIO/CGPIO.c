#include "CGPIO.h"

#include <errno.h>
#include <gpiod.h>
#include <stdlib.h>

#ifdef GPIOD_LINE_BULK_MAX_LINES  // libgpiod 1

typedef struct gpiod_line taken_line;

static taken_line *take(struct gpiod_chip *chip, uint32_t offset, uint32_t flags) {
  struct gpiod_line *line = gpiod_chip_get_line(chip, offset);
  if (!line) return NULL;
  struct gpiod_line_request_config config = {
      .consumer = "linkbms",
      .request_type = flags & GPIO_LINES_OUTPUT ? GPIOD_LINE_REQUEST_DIRECTION_OUTPUT : GPIOD_LINE_REQUEST_DIRECTION_INPUT,
      .flags = (flags & GPIO_LINES_ACTIVE_LOW ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0) |
               (flags & GPIO_LINES_PULL_UP ? GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP : 0) |
               (flags & GPIO_LINES_PULL_DOWN ? GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN : 0),
  };
  return gpiod_line_request(line, &config, 0) == 0 ? line : NULL;
}

static int get(taken_line *line, uint32_t offset) {
  (void)offset;
  return gpiod_line_get_value(line);
}

static int set(taken_line *line, uint32_t offset, int value) {
  (void)offset;
  return gpiod_line_set_value(line, value);
}

static void release(taken_line *line) { gpiod_line_release(line); }

#else  // libgpiod 2

typedef struct gpiod_line_request taken_line;

static taken_line *take(struct gpiod_chip *chip, uint32_t offset, uint32_t flags) {
  struct gpiod_line_settings *settings = gpiod_line_settings_new();
  struct gpiod_line_config *lines = gpiod_line_config_new();
  struct gpiod_request_config *config = gpiod_request_config_new();
  taken_line *taken = NULL;
  if (settings && lines && config) {
    gpiod_line_settings_set_direction(settings, flags & GPIO_LINES_OUTPUT ? GPIOD_LINE_DIRECTION_OUTPUT : GPIOD_LINE_DIRECTION_INPUT);
    gpiod_line_settings_set_active_low(settings, (flags & GPIO_LINES_ACTIVE_LOW) != 0);
    if (flags & GPIO_LINES_PULL_UP) gpiod_line_settings_set_bias(settings, GPIOD_LINE_BIAS_PULL_UP);
    if (flags & GPIO_LINES_PULL_DOWN) gpiod_line_settings_set_bias(settings, GPIOD_LINE_BIAS_PULL_DOWN);
    gpiod_line_settings_set_output_value(settings, GPIOD_LINE_VALUE_INACTIVE);
    gpiod_request_config_set_consumer(config, "linkbms");
    if (gpiod_line_config_add_line_settings(lines, &offset, 1, settings) == 0) {
      taken = gpiod_chip_request_lines(chip, config, lines);
    }
  }
  int why = errno;
  if (config) gpiod_request_config_free(config);
  if (lines) gpiod_line_config_free(lines);
  if (settings) gpiod_line_settings_free(settings);
  errno = why;
  return taken;
}

static int get(taken_line *line, uint32_t offset) {
  enum gpiod_line_value value = gpiod_line_request_get_value(line, offset);
  return value == GPIOD_LINE_VALUE_ERROR ? -1 : value == GPIOD_LINE_VALUE_ACTIVE;
}

static int set(taken_line *line, uint32_t offset, int value) {
  return gpiod_line_request_set_value(line, offset, value ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE);
}

static void release(taken_line *line) { gpiod_line_request_release(line); }

#endif

struct gpio_lines {
  struct gpiod_chip *chip;
  size_t count;
  taken_line *taken[GPIO_LINES_ROOM];
  uint32_t offsets[GPIO_LINES_ROOM];
};

gpio_lines *gpio_lines_open(const char *path, const uint32_t *offsets, const uint32_t *flags, size_t count, ptrdiff_t *failed) {
  *failed = -1;
  if (count > GPIO_LINES_ROOM) {
    errno = E2BIG;
    return NULL;
  }
  gpio_lines *lines = calloc(1, sizeof *lines);
  if (!lines) return NULL;
  lines->chip = gpiod_chip_open(path);
  if (!lines->chip) {
    int why = errno;
    free(lines);
    errno = why;
    return NULL;
  }
  for (size_t place = 0; place < count; place++) {
    lines->offsets[place] = offsets[place];
    lines->taken[place] = take(lines->chip, offsets[place], flags[place]);
    if (!lines->taken[place]) {
      int why = errno;
      gpio_lines_close(lines);
      errno = why;
      *failed = (ptrdiff_t)place;
      return NULL;
    }
    lines->count++;
  }
  return lines;
}

int gpio_lines_get(gpio_lines *lines, size_t place) {
  if (place < lines->count) return get(lines->taken[place], lines->offsets[place]);
  errno = EINVAL;
  return -1;
}

int gpio_lines_set(gpio_lines *lines, size_t place, int value) {
  if (place < lines->count) return set(lines->taken[place], lines->offsets[place], value);
  errno = EINVAL;
  return -1;
}

void gpio_lines_close(gpio_lines *lines) {
  for (size_t place = 0; place < lines->count; place++) release(lines->taken[place]);
  gpiod_chip_close(lines->chip);
  free(lines);
}
