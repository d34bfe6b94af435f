// zlib's own header is enough: the module gives Swift its functions and constants.
#ifndef LINKBMS_CZLIB_H
#define LINKBMS_CZLIB_H
#include <zlib.h>

// inflateInit2 is a macro, which Swift does not import. Window bits 47 = 15 + 32: gzip and zlib headers are recognised.
static inline int linkbms_inflate_init(z_stream *stream) { return inflateInit2(stream, 15 + 32); }
#endif
