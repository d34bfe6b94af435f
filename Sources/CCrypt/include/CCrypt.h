// Password hashes of the system's own libcrypt: yescrypt, which costs memory as well as time.
#ifndef LINKBMS_CCRYPT_H
#define LINKBMS_CCRYPT_H
#include <stdbool.h>
#include <stddef.h>

// Hashes `password` with a new random salt into `out`; false if libcrypt cannot.
bool password_hash(const char *password, char *out, size_t size);
// Whether `password` gives `hash`; takes as long for a wrong one as for a right one.
bool password_matches(const char *password, const char *hash);
#endif
