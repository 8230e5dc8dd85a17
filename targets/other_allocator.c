// Danger: the program is linked with an allocator: its malloc and free must be the ones used, also when
// it has only the old hash table of symbols.
// build: gcc -O2 -g {allocator}
// build(old_hash): gcc -O2 -g {allocator.old_hash}
#define LEDGER_PEAK
#include "ledger.h"

int allocator_has(void *);

static void *checked(void *p) {
    if (!allocator_has(p))
        _exit(1);
    return p;
}

int main(void) {
    for (int i = 0; i < 100; i++) {
        void *p = checked(took(MALLOC, 4099, malloc(4099)));
        p = checked(retook(REALLOC, 4099, 10007, realloc(p, 10007)));
        void *q = checked(took(CALLOC, 1013, calloc(1, 1013)));
        give(10007, p);
        give(1013, q);
    }
    ledger_write();
    return 0;
}
