// libzip's own header is enough: the module gives Swift its functions and constants.
#ifndef LINKBMS_CZIP_H
#define LINKBMS_CZIP_H
#include <zip.h>
#endif
