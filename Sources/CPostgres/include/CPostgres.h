// libpq, loaded when a PostgreSQL database is first asked for: who keeps the history in a file needs none. Constants and types are those
// of its own header.
#ifndef LINKBMS_CPOSTGRES_H
#define LINKBMS_CPOSTGRES_H
#include <stdbool.h>
#if __has_include(<postgresql/libpq-fe.h>)
#include <postgresql/libpq-fe.h>
#else
#include <libpq-fe.h>
#endif

// Loads the library, once; false where it is not installed.
bool postgres_load(void);

// The calls of the same names. Only after postgres_load has said true.
PGconn *postgres_connect(const char *const *keywords, const char *const *values);
void postgres_finish(PGconn *connection);
void postgres_reset(PGconn *connection);
bool postgres_is_connected(const PGconn *connection);
const char *postgres_error(const PGconn *connection);
const char *postgres_host(const PGconn *connection);
const char *postgres_database(const PGconn *connection);
// Parameters and results are binary. A statement without parameters may be several.
PGresult *postgres_run(
    PGconn *connection, const char *statement, int count, const Oid *types, const char *const *values, const int *lengths);
PGresult *postgres_run_all(PGconn *connection, const char *statements);
bool postgres_is_done(const PGresult *result);
const char *postgres_result_error(const PGresult *result);
int postgres_rows(const PGresult *result);
int postgres_columns(const PGresult *result);
int postgres_changed(PGresult *result);
const char *postgres_value(const PGresult *result, int row, int column);
int postgres_length(const PGresult *result, int row, int column);
void postgres_clear(PGresult *result);
#endif
