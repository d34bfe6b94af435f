// Signals as flags and a pipe to poll. In C, because a handler may touch nothing but lock-free atomics and write(2).
#ifndef LINKBMS_CSIGNALS_H
#define LINKBMS_CSIGNALS_H

#include <stdbool.h>

// Installs handlers for SIGINT, SIGTERM and SIGHUP (unless the parent had them ignored: nohup, background jobs) and ignores SIGPIPE.
// With `second_ends`, a second stop signal before signals_clear_stop ends the process at once: for a command that does not look.
void signals_install(bool second_ends);
// Adds what a prompt needs: SIGWINCH.
void signals_install_prompt(void);

// The stop signal that came since signals_clear_stop; 0 if none.
int signals_stop(void);
void signals_clear_stop(void);
// The same, and forgets it in one step: none that comes meanwhile is lost.
int signals_take_stop(void);
// Whether the window changed its size since the last call.
bool signals_take_resize(void);
// Whether Ctrl-Z came since the last call, while signals_catch_suspend was on.
bool signals_take_suspend(void);
// Turns Ctrl-Z into a flag, or back into what it always does.
void signals_catch_suspend(bool on);

// Readable after any of these signals or signals_wake; -1 if there is no pipe.
int signals_wake_descriptor(void);
// Empties that pipe.
void signals_drain(void);
// Makes the pipe readable; from any thread.
void signals_wake(void);

struct pollfd;
// poll(2) with a time-out in nanoseconds: a handshake is answered in less than poll's millisecond.
int signals_poll(struct pollfd *sources, unsigned count, long long nanoseconds);

#endif
