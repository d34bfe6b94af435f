#include "CMosquitto.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/socket.h>

#define EACH(call)                                                                                                              \
  call(lib_init) call(new) call(destroy) call(will_set) call(username_pw_set) call(tls_set) call(reconnect_delay_set)           \
      call(max_inflight_messages_set) call(user_data_set) call(connect_callback_set) call(disconnect_callback_set)              \
          call(publish_callback_set) call(message_callback_set) call(loop_start) call(loop_stop) call(connect_async)            \
              call(disconnect) call(publish) call(subscribe) call(strerror) call(connack_string)          \
                  call(socket)

#define POINTER(name) static __typeof__(&mosquitto_##name) p_##name;
EACH(POINTER)

static bool loaded;

static void load(void) {
  void *library = dlopen("libmosquitto.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return;
#define FIND(name)                                                                                                              \
  p_##name = (__typeof__(p_##name))dlsym(library, "mosquitto_" #name);                                                          \
  if (!p_##name) return;
  EACH(FIND)
  loaded = p_lib_init() == MOSQ_ERR_SUCCESS;
}

bool mqtt_load(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return loaded;
}

struct mosquitto *mqtt_new(const char *id, bool clean_session, void *owner) { return p_new(id, clean_session, owner); }
void mqtt_destroy(struct mosquitto *client) { p_destroy(client); }
int mqtt_will_set(struct mosquitto *client, const char *topic, int length, const void *payload, int qos, bool retain) {
  return p_will_set(client, topic, length, payload, qos, retain);
}
int mqtt_username_pw_set(struct mosquitto *client, const char *user, const char *password) {
  return p_username_pw_set(client, user, password);
}
int mqtt_tls_set(struct mosquitto *client, const char *authorities) {
  return p_tls_set(client, authorities, NULL, NULL, NULL, NULL);
}
void mqtt_settings(struct mosquitto *client, unsigned int least_delay, unsigned int most_delay, unsigned int inflight) {
  p_reconnect_delay_set(client, least_delay, most_delay, true);
  p_max_inflight_messages_set(client, inflight);
}
void mqtt_callbacks(
    struct mosquitto *client, void *owner, void (*connected)(struct mosquitto *, void *, int),
    void (*disconnected)(struct mosquitto *, void *, int), void (*published)(struct mosquitto *, void *, int),
    void (*received)(struct mosquitto *, void *, const struct mosquitto_message *)) {
  p_user_data_set(client, owner);
  p_connect_callback_set(client, connected);
  p_disconnect_callback_set(client, disconnected);
  p_publish_callback_set(client, published);
  p_message_callback_set(client, received);
}
int mqtt_loop_start(struct mosquitto *client) { return p_loop_start(client); }
int mqtt_loop_stop(struct mosquitto *client, bool force) { return p_loop_stop(client, force); }
int mqtt_connect_async(struct mosquitto *client, const char *host, int port, int keepalive) {
  return p_connect_async(client, host, port, keepalive);
}
int mqtt_disconnect(struct mosquitto *client) { return p_disconnect(client); }
int mqtt_publish(struct mosquitto *client, int *number, const char *topic, int length, const void *payload, int qos, bool retain) {
  return p_publish(client, number, topic, length, payload, qos, retain);
}
int mqtt_subscribe(struct mosquitto *client, const char *pattern, int qos) { return p_subscribe(client, NULL, pattern, qos); }
void mqtt_cut(struct mosquitto *client) {
  int descriptor = p_socket(client);
  if (descriptor >= 0) shutdown(descriptor, SHUT_RDWR);
}
const char *mqtt_strerror(int code) { return p_strerror(code); }
const char *mqtt_connack_string(int code) { return p_connack_string(code); }
