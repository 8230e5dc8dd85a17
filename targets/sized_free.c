// Danger: free_sized and free_aligned_sized of C23, and cfree of old: called where libc has them.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <stdio.h>

// Weak: most libcs lack them. A recorder that exports them makes them appear: the program then calls
// them, and they must free.
extern void free_sized(void *, size_t) __attribute__((weak));
extern void free_aligned_sized(void *, size_t, size_t) __attribute__((weak));

int main(void) {
    void *p = took(MALLOC, 4099, malloc(4099));
    if (free_sized != NULL)
        gave(FREE_SIZED, 4099), free_sized(p, 4099);
    else
        give(4099, p);
    p = took(ALIGNED_ALLOC, 10048, aligned_alloc(64, 10048));
    if (free_aligned_sized != NULL)
        gave(FREE_ALIGNED_SIZED, 10048), free_aligned_sized(p, 64, 10048);
    else
        give(10048, p);
    ledger_write();
    return 0;
}
