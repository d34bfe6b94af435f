// What the prompt needs of GNU readline. Its mutable globals are errors in Swift 6, so they are set and read here.
#ifndef LINKBMS_CREADLINE_H
#define LINKBMS_CREADLINE_H

#include <stdbool.h>

// Words collected for one press of TAB.
typedef struct prompt_candidates prompt_candidates;
// Fills `out` for the word that spans bytes start..<end of the whole line; `context` is what prompt_begin got.
typedef void (*prompt_completer)(void *context, const char *line, const char *word, int start, int end, prompt_candidates *out);

void prompt_candidates_add(prompt_candidates *out, const char *word);
// Leaves this word to readline's own file name completion.
void prompt_candidates_use_files(prompt_candidates *out);
// Puts no blank behind a single match: the person goes on in the same word (`--format=`).
void prompt_candidates_continue_word(prompt_candidates *out);

// Sets readline up once: no signal handlers of its own, bracketed paste, our completer. `error_stream` puts the prompt on standard
// error, for a person whose standard output goes to a file.
void prompt_begin(const char *program, void *context, prompt_completer completer, bool error_stream);
// Forgets the completer's context.
void prompt_end(void);

// Shows the prompt and takes the terminal; pairs with prompt_release. `interruptible`: Ctrl-C is SIGINT for this process, at once;
// otherwise it drops the line being typed, in its turn among the keys.
void prompt_take(const char *prompt, bool interruptible);
// Puts the terminal back as it was.
void prompt_release(void);
// Feeds what the terminal has; call when it is readable.
void prompt_feed(void);

typedef enum { prompt_open, prompt_line, prompt_eof } prompt_state;
// Whether a line is complete. After prompt_line or prompt_eof the terminal has been released.
prompt_state prompt_current_state(void);
// The finished line, valid until the next prompt_take; NULL if none.
const char *prompt_finished_line(void);

// Drops the line being typed and shows a fresh prompt below (Ctrl-C).
void prompt_discard_line(void);
// Shows that Ctrl-C has ended the question; a half-typed key sequence is forgotten. Before prompt_release.
void prompt_interrupted(void);
// Writes text above the prompt; the line being typed, the cursor and the undo list stay as they are.
void prompt_write_above(const char *text, int length);
// The window changed its size.
void prompt_resized(void);
// The terminal was somebody else's for a while: take it again and draw the line anew.
void prompt_suspend(void);
void prompt_resume(void);

// History. Lines are added once; an equal earlier line goes away.
void prompt_history_add(const char *line);
int prompt_history_count(void);
// 0 is the oldest; NULL outside.
const char *prompt_history_line(int index);
void prompt_history_limit(int lines);

#endif
