#define _GNU_SOURCE
#include "CSignals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static atomic_int stop_signal;
static atomic_bool resized, suspended, second_stop_ends;
static atomic_int wake_read = -1, wake_write = -1;

void signals_wake(void) {
  int descriptor = atomic_load(&wake_write);
  // A full pipe is readable already, so a failed write loses nothing.
  if (descriptor >= 0) (void)!write(descriptor, "", 1);
}

static void on_stop(int number) {
  int saved = errno;
  int none = 0;
  // A hang-up may only mean "read your configuration": it does not take the place of a stop that nobody has looked at.
  bool is_second = number == SIGHUP ? !atomic_compare_exchange_strong(&stop_signal, &none, number)
                                    : atomic_exchange(&stop_signal, number) != 0;
  if (is_second && atomic_load(&second_stop_ends)) _exit(128 + number);
  signals_wake();
  errno = saved;
}

static void on_resize(int number) {
  (void)number;
  int saved = errno;
  atomic_store(&resized, true);
  signals_wake();
  errno = saved;
}

static void on_suspend(int number) {
  (void)number;
  int saved = errno;
  atomic_store(&suspended, true);
  signals_wake();
  errno = saved;
}

static void make_pipe(void) {
  if (atomic_load(&wake_read) >= 0) return;
  int ends[2];
  if (pipe(ends) != 0) return;
  for (int i = 0; i < 2; i++) {
    fcntl(ends[i], F_SETFL, O_NONBLOCK);
    fcntl(ends[i], F_SETFD, FD_CLOEXEC);
  }
  atomic_store(&wake_read, ends[0]);
  atomic_store(&wake_write, ends[1]);
}

// Without SA_RESTART, so that a blocked read or write returns and its command sees the flag.
static void handle(int number, void (*handler)(int)) {
  struct sigaction action = {0};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, NULL);
}

static void handle_unless_ignored(int number, void (*handler)(int)) {
  struct sigaction current;
  if (sigaction(number, NULL, &current) == 0 && current.sa_handler == SIG_IGN) return;
  handle(number, handler);
}

// A parent that starts us from a worker thread may hand down a mask that blocks everything.
static void unblock(const int *numbers, int count) {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (int i = 0; i < count; i++) sigaddset(&wanted, numbers[i]);
  sigprocmask(SIG_UNBLOCK, &wanted, NULL);
}

void signals_install(bool second_ends) {
  make_pipe();
  atomic_store(&second_stop_ends, second_ends);
  handle(SIGPIPE, SIG_IGN);
  unblock((const int[]){SIGINT, SIGTERM, SIGHUP}, 3);
  handle_unless_ignored(SIGINT, on_stop);
  handle_unless_ignored(SIGTERM, on_stop);
  handle_unless_ignored(SIGHUP, on_stop);
}

void signals_install_prompt(void) {
  make_pipe();
  atomic_store(&second_stop_ends, false);
  unblock((const int[]){SIGWINCH, SIGTSTP, SIGCONT}, 3);
  handle(SIGWINCH, on_resize);
}

int signals_stop(void) { return atomic_load_explicit(&stop_signal, memory_order_relaxed); }
void signals_clear_stop(void) { atomic_store(&stop_signal, 0); }
int signals_take_stop(void) { return atomic_exchange(&stop_signal, 0); }
bool signals_take_resize(void) { return atomic_exchange(&resized, false); }
bool signals_take_suspend(void) { return atomic_exchange(&suspended, false); }
void signals_catch_suspend(bool on) { handle(SIGTSTP, on ? on_suspend : SIG_DFL); }

int signals_wake_descriptor(void) { return atomic_load(&wake_read); }

void signals_drain(void) {
  char bytes[64];
  int descriptor = atomic_load(&wake_read);
  if (descriptor < 0) return;
  while (read(descriptor, bytes, sizeof bytes) > 0) {
  }
}

int signals_poll(struct pollfd *sources, unsigned count, long long nanoseconds) {
  struct timespec timeout = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  return ppoll(sources, count, &timeout, NULL);
}
