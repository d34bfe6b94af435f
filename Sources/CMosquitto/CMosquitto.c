#include "CMosquitto.h"
// libmosquitto's own header is enough: the module gives Swift its functions and constants.
