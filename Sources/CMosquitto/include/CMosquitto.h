// libmosquitto, loaded when a broker is first spoken to: it brings OpenSSL along, which would cost every start of the program more than
// the program itself. Constants and types are those of its own header.
#ifndef LINKBMS_CMOSQUITTO_H
#define LINKBMS_CMOSQUITTO_H
#include <mosquitto.h>

// Loads and starts the library, once; false where it is not installed.
bool mqtt_load(void);

// The calls of the same names. Only after mqtt_load has said true.
struct mosquitto *mqtt_new(const char *id, bool clean_session, void *owner);
void mqtt_destroy(struct mosquitto *client);
int mqtt_will_set(struct mosquitto *client, const char *topic, int length, const void *payload, int qos, bool retain);
int mqtt_username_pw_set(struct mosquitto *client, const char *user, const char *password);
int mqtt_tls_set(struct mosquitto *client, const char *authorities);
void mqtt_settings(struct mosquitto *client, unsigned int least_delay, unsigned int most_delay, unsigned int inflight);
void mqtt_callbacks(
    struct mosquitto *client, void *owner, void (*connected)(struct mosquitto *, void *, int),
    void (*disconnected)(struct mosquitto *, void *, int), void (*published)(struct mosquitto *, void *, int),
    void (*received)(struct mosquitto *, void *, const struct mosquitto_message *));
int mqtt_loop_start(struct mosquitto *client);
int mqtt_loop_stop(struct mosquitto *client, bool force);
int mqtt_connect_async(struct mosquitto *client, const char *host, int port, int keepalive);
int mqtt_disconnect(struct mosquitto *client);
int mqtt_publish(struct mosquitto *client, int *number, const char *topic, int length, const void *payload, int qos, bool retain);
int mqtt_subscribe(struct mosquitto *client, const char *pattern, int qos);
// Ends the connection without a word, from within a callback: what has not been acknowledged yet never will be, and comes again over the
// next connection, which the library makes by itself.
void mqtt_cut(struct mosquitto *client);
const char *mqtt_strerror(int code);
const char *mqtt_connack_string(int code);
#endif
