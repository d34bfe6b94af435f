#include "CReadline.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <readline/history.h>
#include <readline/readline.h>

struct prompt_candidates {
  char **words;
  size_t count, capacity;
  bool use_files, continue_word;
};

static void *completer_context;
static prompt_completer completer;
static prompt_state state = prompt_eof;
static char *finished_line;
static const prompt_candidates *generated;
static size_t generated_index;

void prompt_candidates_add(prompt_candidates *out, const char *word) {
  if (out->count == out->capacity) {
    size_t capacity = out->capacity ? out->capacity * 2 : 32;
    char **words = realloc(out->words, capacity * sizeof *words);
    if (!words) return;
    out->words = words;
    out->capacity = capacity;
  }
  char *copy = strdup(word);
  if (copy) out->words[out->count++] = copy;
}

void prompt_candidates_use_files(prompt_candidates *out) { out->use_files = true; }
void prompt_candidates_continue_word(prompt_candidates *out) { out->continue_word = true; }

static char *next_candidate(const char *word, int first) {
  if (first == 0) generated_index = 0;
  size_t length = strlen(word);
  while (generated_index < generated->count) {
    const char *candidate = generated->words[generated_index++];
    if (strncmp(candidate, word, length) == 0) return strdup(candidate);
  }
  return NULL;
}

static char **complete(const char *word, int start, int end) {
  prompt_candidates found = {0};
  if (completer) completer(completer_context, rl_line_buffer, word, start, end, &found);
  rl_attempted_completion_over = !found.use_files;
  generated = &found;
  char **matches = found.count ? rl_completion_matches(word, next_candidate) : NULL;
  // Files come from readline only when nothing else matched, which is what a NULL here leads to.
  if (found.continue_word) rl_completion_suppress_append = 1;
  generated = NULL;
  for (size_t i = 0; i < found.count; i++) free(found.words[i]);
  free(found.words);
  return matches;
}

static void line_finished(char *line) {
  free(finished_line);
  finished_line = line;
  state = line ? prompt_line : prompt_eof;
  // Otherwise readline shows the next prompt before the command has run.
  rl_callback_handler_remove();
}

static bool control_c_ends;

// While a line is being typed Ctrl-C is a key like any other: as a signal it would overtake the keys typed before it. A question it
// ends as a signal, whatever was typed before: as a key it would only end a sequence that a lone Esc has begun.
static void take_terminal(int meta) {
  struct termios settings;
  rl_prep_terminal(meta);
  if (control_c_ends) return;
  int descriptor = fileno(rl_instream ? rl_instream : stdin);
  if (tcgetattr(descriptor, &settings) != 0) return;
  settings.c_cc[VINTR] = _POSIX_VDISABLE;
  tcsetattr(descriptor, TCSANOW, &settings);
}

static int on_control_c(int count, int key) {
  (void)count, (void)key;
  // Comes as a key to a question only where the terminal's own key for it is another.
  if (control_c_ends) {
    raise(SIGINT);
  } else {
    prompt_discard_line();
  }
  return 0;
}

void prompt_begin(const char *program, void *context, prompt_completer function, bool error_stream) {
  completer_context = context;
  completer = function;
  rl_readline_name = program;
  rl_outstream = error_stream ? stderr : stdout;
  rl_catch_signals = 0;
  rl_catch_sigwinch = 0;
  // COLUMNS would otherwise be frozen for every child at the size of the moment.
  rl_change_environment = 0;
  rl_attempted_completion_function = complete;
  rl_completer_word_break_characters = " \t\n\"'><|=";
  rl_basic_quote_characters = "\"'";
  rl_completer_quote_characters = "\"'";
  rl_filename_quote_characters = " \t\n\\\"'$><|#*?[;&";
  // A person's own ~/.inputrc may still say otherwise: it is read after these defaults.
  rl_variable_bind("enable-bracketed-paste", "on");
  rl_prep_term_function = take_terminal;
  rl_initialize();
  Keymap maps[] = {emacs_standard_keymap, vi_insertion_keymap, vi_movement_keymap};
  for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) rl_bind_key_in_map(3, on_control_c, maps[i]);
  using_history();
}

void prompt_end(void) {
  completer = NULL;
  completer_context = NULL;
}

void prompt_take(const char *prompt, bool interruptible) {
  control_c_ends = interruptible;
  free(finished_line);
  finished_line = NULL;
  state = prompt_open;
  rl_callback_handler_install(prompt, line_finished);
}

void prompt_release(void) { rl_callback_handler_remove(); }
void prompt_feed(void) {
  if (state == prompt_open) rl_callback_read_char();
}
prompt_state prompt_current_state(void) { return state; }
const char *prompt_finished_line(void) { return finished_line; }

void prompt_discard_line(void) {
  rl_point = rl_end;
  rl_redisplay();
  fputs("^C", rl_outstream);
  rl_crlf();
  // Leaves a numeric argument and a half-typed key sequence as well, and the arrows begin at the latest line again.
  rl_free_line_state();
  rl_callback_sigcleanup();
  using_history();
  rl_replace_line("", 1);
  rl_point = rl_mark = 0;
  rl_on_new_line();
  rl_redisplay();
}

void prompt_interrupted(void) {
  rl_point = rl_end;
  rl_redisplay();
  fputs("^C", rl_outstream);
  rl_crlf();
  fflush(rl_outstream);
  // A half-typed key sequence ends with it.
  rl_free_line_state();
  rl_callback_sigcleanup();
}

void prompt_write_above(const char *text, int length) {
  if (state != prompt_open) {
    fwrite(text, 1, (size_t)length, rl_outstream);
    fflush(rl_outstream);
    return;
  }
  rl_clear_visible_line();
  fwrite(text, 1, (size_t)length, rl_outstream);
  fflush(rl_outstream);
  rl_on_new_line();
  rl_redisplay();
}

void prompt_resized(void) { rl_resize_terminal(); }

void prompt_suspend(void) {
  if (rl_deprep_term_function) rl_deprep_term_function();
}

void prompt_resume(void) {
  if (rl_prep_term_function) rl_prep_term_function(1);
  rl_on_new_line();
  rl_forced_update_display();
}

void prompt_history_add(const char *line) {
  for (int i = history_length - 1; i >= 0; i--) {
    HIST_ENTRY *entry = history_get(history_base + i);
    if (entry && strcmp(entry->line, line) == 0) {
      HIST_ENTRY *removed = remove_history(i);
      if (removed) free_history_entry(removed);
    }
  }
  add_history(line);
}

int prompt_history_count(void) { return history_length; }

const char *prompt_history_line(int index) {
  if (index < 0 || index >= history_length) return NULL;
  HIST_ENTRY *entry = history_get(history_base + index);
  return entry ? entry->line : NULL;
}

void prompt_history_limit(int lines) { stifle_history(lines); }
