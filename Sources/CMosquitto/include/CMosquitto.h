#ifndef LINKBMS_CMOSQUITTO_H
#define LINKBMS_CMOSQUITTO_H
#include <mosquitto.h>
#endif
