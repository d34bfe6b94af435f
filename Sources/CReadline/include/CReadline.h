// What the prompt needs of GNU readline. Its mutable globals are errors in Swift 6, so they are set and read here.
#ifndef LINKBMS_CREADLINE_H
#define LINKBMS_CREADLINE_H
#endif
