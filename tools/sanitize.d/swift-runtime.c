// Tells ThreadSanitizer of what Swift's own libraries do, which were built without it. Loaded in front of them (LD_PRELOAD) by
// tools/sanitize; in a program without the sanitizer it does nothing.
//
// Mutex: its quick path is compiled into the programs, where the sanitizer sees it; the slow one, for a lock that another thread holds or
// waits for, lies in libswiftSynchronization. Whoever came or went that way would seem to hold no lock at all.
//
// Values that share their storage until one is written (arrays, NIO's buffers): whoever lets go of it counts down, whoever finds that it
// has it alone writes in place. Both are atomic, in libswiftCore; unseen, the write seems to race with the other's last look.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

// Methods of Synchronization._MutexHandle: _lockSlow(_: UInt32), _tryLockSlow() -> Bool, _unlockSlow().
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *mutex

typedef SWIFT void (*lock_function)(uint32_t, SELF);
typedef SWIFT bool (*try_function)(SELF);
typedef SWIFT void (*unlock_function)(SELF);

SWIFT void lock_slow(uint32_t thread, SELF) __asm__(LOCK);
SWIFT bool try_lock_slow(SELF) __asm__(TRY_LOCK);
SWIFT void unlock_slow(SELF) __asm__(UNLOCK);

// swift_release(object), swift_release_n(object, count), the same for objects that carry bits of their own, and whether an object has one
// owner. The compiler may count on registers that C would let these destroy.
#define KEEPS __attribute__((preserve_most))
typedef void (*release_function)(void *);
typedef void (*release_n_function)(void *, uint32_t);
typedef bool (*unique_function)(const void *);

KEEPS void swift_release(void *object);
KEEPS void swift_release_n(void *object, uint32_t count);
KEEPS void swift_bridgeObjectRelease(void *object);
KEEPS void swift_bridgeObjectRelease_n(void *object, uint32_t count);
bool swift_isUniquelyReferenced_native(const void *object);
bool swift_isUniquelyReferenced_nonNull_native(const void *object);

// What stands behind this in the order of loading.
static void *next(void **place, const char *name) {
  void *found = __atomic_load_n(place, __ATOMIC_RELAXED);
  if (!found) {
    found = dlsym(RTLD_NEXT, name);
    __atomic_store_n(place, found, __ATOMIC_RELAXED);
  }
  return found;
}

SWIFT void lock_slow(uint32_t thread, SELF) {
  static void *real;
  ((lock_function)next(&real, LOCK))(thread, mutex);
  // The word that the quick path works on is the mutex's first.
  if (__tsan_acquire) __tsan_acquire(mutex);
}

SWIFT bool try_lock_slow(SELF) {
  static void *real;
  bool is_locked = ((try_function)next(&real, TRY_LOCK))(mutex);
  if (is_locked && __tsan_acquire) __tsan_acquire(mutex);
  return is_locked;
}

SWIFT void unlock_slow(SELF) {
  static void *real;
  if (__tsan_release) __tsan_release(mutex);
  ((unlock_function)next(&real, UNLOCK))(mutex);
}

// Without those bits; 0 for what is no object.
static void *object_of(void *value) {
  return (intptr_t)value > 0 ? (void *)((uintptr_t)value & 0x00FFFFFFFFFFFFF8) : 0;
}

static void told(void *value) {
  void *object = object_of(value);
  if (object && __tsan_release) __tsan_release(object);
}

KEEPS void swift_release(void *object) {
  static void *real;
  told(object);
  ((release_function)next(&real, "swift_release"))(object);
}

KEEPS void swift_release_n(void *object, uint32_t count) {
  static void *real;
  told(object);
  ((release_n_function)next(&real, "swift_release_n"))(object, count);
}

KEEPS void swift_bridgeObjectRelease(void *object) {
  static void *real;
  told(object);
  ((release_function)next(&real, "swift_bridgeObjectRelease"))(object);
}

KEEPS void swift_bridgeObjectRelease_n(void *object, uint32_t count) {
  static void *real;
  told(object);
  ((release_n_function)next(&real, "swift_bridgeObjectRelease_n"))(object, count);
}

static bool alone(bool is_alone, const void *value) {
  void *object = object_of((void *)value);
  if (is_alone && object && __tsan_acquire) __tsan_acquire(object);
  return is_alone;
}

bool swift_isUniquelyReferenced_native(const void *object) {
  static void *real;
  return alone(((unique_function)next(&real, "swift_isUniquelyReferenced_native"))(object), object);
}

bool swift_isUniquelyReferenced_nonNull_native(const void *object) {
  static void *real;
  return alone(((unique_function)next(&real, "swift_isUniquelyReferenced_nonNull_native"))(object), object);
}
