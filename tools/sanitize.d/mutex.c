// Tells ThreadSanitizer of Swift's `Mutex`. Its quick path is compiled into the programs, where the sanitizer sees it; the slow one, for
// a lock that another thread holds or waits for, lies in libswiftSynchronization, which was built without the sanitizer. Whoever came
// or went that way would seem to hold no lock at all, and everything that it guards would be reported. Loaded in front of that library
// (LD_PRELOAD) by tools/sanitize; in a program without the sanitizer it does nothing.
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
