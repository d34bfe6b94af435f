// Tells ThreadSanitizer of Swift's `Mutex`. Its quick path is compiled into the programs, where the sanitizer sees it; the slow one, for
// a lock that another thread holds, lies in libswiftSynchronization, which was built without the sanitizer. Whoever came through there
// would seem to hold no lock at all, and everything that it guards would be reported. Loaded in front of it (LD_PRELOAD) by
// tools/sanitize; in a program without the sanitizer it does nothing.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

extern void __tsan_acquire(void *address) __attribute__((weak));

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"

typedef __attribute__((swiftcall)) void (*lock_function)(uint32_t, __attribute__((swift_context)) void *);

// _MutexHandle._lockSlow(_: UInt32)
__attribute__((swiftcall)) void lock_slow(uint32_t thread, __attribute__((swift_context)) void *mutex) __asm__(LOCK_SLOW);

__attribute__((swiftcall)) void lock_slow(uint32_t thread, __attribute__((swift_context)) void *mutex) {
  static lock_function real;
  lock_function function = __atomic_load_n(&real, __ATOMIC_RELAXED);
  if (!function) {
    function = (lock_function)dlsym(RTLD_NEXT, LOCK_SLOW);
    __atomic_store_n(&real, function, __ATOMIC_RELAXED);
  }
  function(thread, mutex);
  // The word that the quick path of `unlock` releases is the mutex's first.
  if (__tsan_acquire) __tsan_acquire(mutex);
}
