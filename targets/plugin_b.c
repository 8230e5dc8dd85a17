// Another library of the same shape, which the loader tends to put at the same address.
// build: gcc -O2 -g -shared -fPIC
#include <stdlib.h>

void *plugin_b_make(size_t size) {
    void *p = malloc(size);
    __asm__ volatile("" : "+r"(p)); // no tail call: this frame must be in the backtrace
    return p;
}
