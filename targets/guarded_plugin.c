// The library of guarded: blocks of the program's are freed here, and the other way round.
// build: gcc -O1 -g -shared -fPIC
#include <stdlib.h>

void guarded_plugin_free(void *block) {
    free(block);
}

void *guarded_plugin_make(size_t size) {
    return malloc(size);
}
