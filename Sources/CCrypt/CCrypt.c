#define _GNU_SOURCE
#include "CCrypt.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

bool password_hash(const char *password, char *out, size_t size) {
  char setting[CRYPT_GENSALT_OUTPUT_SIZE];
  // 0 = libcrypt's own cost, random bytes from the kernel.
  if (!crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting)) return false;
  struct crypt_data *data = calloc(1, sizeof *data);
  if (!data) return false;
  const char *hash = crypt_rn(password, setting, data, sizeof *data);
  bool done = hash && strlen(hash) < size;
  if (done) strcpy(out, hash);
  memset(data, 0, sizeof *data);
  free(data);
  return done;
}

bool password_matches(const char *password, const char *hash) {
  struct crypt_data *data = calloc(1, sizeof *data);
  if (!data) return false;
  const char *found = crypt_rn(password, hash, data, sizeof *data);
  unsigned char difference = 1;
  if (found && strlen(found) == strlen(hash)) {
    difference = 0;
    for (size_t index = 0; hash[index]; index++) difference |= (unsigned char)(found[index] ^ hash[index]);
  }
  memset(data, 0, sizeof *data);
  free(data);
  return difference == 0;
}
