#include "CPostgres.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#define EACH(call)                                                                                                              \
  call(connectdbParams) call(finish) call(reset) call(status) call(errorMessage) call(host) call(db) call(setNoticeProcessor)    \
      call(execParams) call(exec) call(resultStatus) call(resultErrorMessage) call(ntuples) call(nfields) call(cmdTuples) call(getvalue)       \
          call(getlength) call(clear)

#define POINTER(name) static __typeof__(&PQ##name) p_##name;
EACH(POINTER)

static bool loaded;

static void load(void) {
  void *library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
  if (!library) return;
#define FIND(name)                                                                                                              \
  p_##name = (__typeof__(p_##name))dlsym(library, "PQ" #name);                                                                  \
  if (!p_##name) return;
  EACH(FIND)
  loaded = true;
}

bool postgres_load(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return loaded;
}

// "relation exists already" and the like are no news.
static void say_nothing(void *owner, const char *text) {
  (void)owner;
  (void)text;
}

PGconn *postgres_connect(const char *const *keywords, const char *const *values) {
  PGconn *connection = p_connectdbParams(keywords, values, 1);
  if (connection) p_setNoticeProcessor(connection, say_nothing, NULL);
  return connection;
}
void postgres_finish(PGconn *connection) { p_finish(connection); }
void postgres_reset(PGconn *connection) { p_reset(connection); }
bool postgres_is_connected(const PGconn *connection) { return p_status(connection) == CONNECTION_OK; }
const char *postgres_error(const PGconn *connection) { return p_errorMessage(connection); }
const char *postgres_host(const PGconn *connection) { return p_host(connection); }
const char *postgres_database(const PGconn *connection) { return p_db(connection); }
PGresult *postgres_run(
    PGconn *connection, const char *statement, int count, const Oid *types, const char *const *values, const int *lengths) {
  int binary[16];
  if (count > 16) return NULL;
  for (int i = 0; i < count; i++) binary[i] = 1;
  return p_execParams(connection, statement, count, types, values, lengths, binary, 1);
}
PGresult *postgres_run_all(PGconn *connection, const char *statements) { return p_exec(connection, statements); }
bool postgres_is_done(const PGresult *result) {
  ExecStatusType status = p_resultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}
const char *postgres_result_error(const PGresult *result) { return p_resultErrorMessage(result); }
int postgres_rows(const PGresult *result) { return p_ntuples(result); }
int postgres_columns(const PGresult *result) { return p_nfields(result); }
int postgres_changed(PGresult *result) { return atoi(p_cmdTuples(result)); }
const char *postgres_value(const PGresult *result, int row, int column) { return p_getvalue(result, row, column); }
int postgres_length(const PGresult *result, int row, int column) { return p_getlength(result, row, column); }
void postgres_clear(PGresult *result) { p_clear(result); }
