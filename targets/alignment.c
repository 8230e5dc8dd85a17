// Danger: every aligned allocator, up to 2 MiB, and alignments that must be refused.
// build: gcc -O2 -g
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"
#include <errno.h>
#include <malloc.h>

int main(void) {
    void *p = took(ALIGNED_ALLOC, 3 << 20, aligned_alloc(2 << 20, 3 << 20));
    if ((uintptr_t)p % (2 << 20) != 0)
        return 1;
    give(3 << 20, p);
    for (size_t align = sizeof(void *); align <= 1 << 16; align *= 2) {
        void *q = NULL;
        if (posix_memalign(&q, align, 4099) != 0 || (uintptr_t)q % align != 0)
            return 2;
        took(POSIX_MEMALIGN, 4099, q);
        if (align > 64)
            give(4099, q);
    }
    void *untouched = (void *)4242;
    if (posix_memalign(&untouched, 24, 1013) != EINVAL || untouched != (void *)4242)
        return 3;
    took(POSIX_MEMALIGN, 1013, NULL);
    volatile size_t impossible = PTRDIFF_MAX - 4099;
    if (posix_memalign(&untouched, 64, impossible) != ENOMEM || untouched != (void *)4242)
        return 4;
    took(POSIX_MEMALIGN, impossible, NULL);
    took(MEMALIGN, 2003, memalign(256, 2003));
    took(VALLOC, 5003, valloc(5003));
    p = took(PVALLOC, 6007, pvalloc(6007));
    if (malloc_usable_size(p) < 8192)
        return 5;
    give(6007, p);
    ledger_write();
    return 0;
}
