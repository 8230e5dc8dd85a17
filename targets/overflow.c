// Danger: calloc and reallocarray whose product overflows, mallocs beyond what can be. A failed
// reallocarray keeps the block. An overflowing product is no size: the ledger is silent about it.
// build: gcc -O2 -g
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"
#include <errno.h>

int main(void) {
    volatile size_t half = (size_t)1 << 63, impossible = PTRDIFF_MAX - 4099;
    errno = 0;
    if (calloc(half, 2) != NULL || errno != ENOMEM)
        return 1;
    errno = 0;
    if (calloc(half | 3, half | 5) != NULL || errno != ENOMEM)
        return 2;
    void *p = took(MALLOC, 4099, malloc(4099));
    errno = 0;
    if (reallocarray(p, half, 4) != NULL || errno != ENOMEM)
        return 3;
    took(MALLOC, impossible, malloc(impossible));
    took(CALLOC, impossible, calloc(1, impossible));
    took(CALLOC, 3 * 3343, calloc(3, 3343));
    give(4099, p);
    ledger_write();
    return 0;
}
