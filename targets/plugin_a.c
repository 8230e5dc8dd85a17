// A library that dlopen.c loads and unloads.
// build: gcc -O2 -g -shared -fPIC
#include <stdlib.h>

void *plugin_a_make(size_t size) {
    void *p = malloc(size);
    __asm__ volatile("" : "+r"(p)); // no tail call: this frame must be in the backtrace
    return p;
}
