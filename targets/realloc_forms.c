// Danger: every form of realloc: of NULL, to nothing, shrinking, growing in place, moving, failing.
// build: gcc -O2 -g
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"

int main(void) {
    volatile size_t impossible = PTRDIFF_MAX - 4099, zero = 0;
    void *volatile null = NULL; // or the compiler makes a malloc of it
    void *p = took(REALLOC, 1013, realloc(null, 1013)); // an allocation
    p = retook(REALLOC, 1013, 509, realloc(p, 509));    // shrinks
    p = retook(REALLOC, 509, 5003, realloc(p, 5003));   // grows into the top
    void *wall = took(MALLOC, 2003, malloc(2003));
    p = retook(REALLOC, 5003, 10007, realloc(p, 10007)); // must move
    p = retook(REALLOC, 10007, 1000003, realloc(p, 1000003)); // to a mapping of its own
    p = retook(REALLOC, 1000003, 3000017, realloc(p, 3000017)); // remapped
    retook(REALLOC, 3000017, impossible, realloc(p, impossible)); // fails: p lives on
    p = retook(REALLOC, 3000017, 4099, realloc(p, 4099));
    retook(REALLOCARRAY, 4099, impossible, reallocarray(p, 1, impossible));
    p = retook(REALLOCARRAY, 4099, 3 * 2011, reallocarray(p, 3, 2011));
    gave(REALLOC, 6033); // glibc: frees and returns NULL
    if (realloc(p, zero) != NULL)
        return 1;
    p = took(REALLOCARRAY, 5 * 1009, reallocarray(null, 5, 1009));
    took(REALLOC, impossible, realloc(null, impossible));
    give(2003, wall);
    ledger_write();
    return 0;
}
