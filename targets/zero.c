// Danger: blocks of no bytes are blocks all the same, free(NULL) is nothing, and malloc_usable_size
// must answer as without recording.
// build: gcc -O2 -g
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"
#include <malloc.h>

int main(void) {
    volatile size_t zero = 0;
    void *volatile null = NULL; // or the compiler makes a malloc of it
    for (int i = 0; i < 10; i++) {
        void *p = took(MALLOC, 0, malloc(zero));
        void *q = took(CALLOC, 0, calloc(zero, 8));
        if (p == NULL || q == NULL || malloc_usable_size(p) != 24)
            return 1;
        if (i % 2)
            give(0, p);
        give(0, q);
        free(NULL);
    }
    took(REALLOC, 0, realloc(null, zero));
    took(ALIGNED_ALLOC, 0, aligned_alloc(64, zero));
    void *p = took(MALLOC, 4099, malloc(4099));
    if (malloc_usable_size(p) != 4104 || malloc_usable_size(NULL) != 0)
        return 2;
    memset(p, 1, malloc_usable_size(p));
    give(4099, p);
    ledger_write();
    return 0;
}
