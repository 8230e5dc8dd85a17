// Danger: recursion deeper than the recorder keeps frames of: backtraces are cut and counted, the
// blocks are all there.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"

static __attribute__((noinline)) int descend(int depth) {
    void *p = depth % 100 == 0 ? took(MALLOC, 1013, malloc(1013)) : NULL;
    int below = depth > 1 ? descend(depth - 1) : 0;
    __asm__ volatile("" : "+r"(below)); // a real call at each level
    if (p != NULL)
        give(1013, p);
    return below + 1;
}

int main(void) {
    int depth = descend(20000);
    ledger_write();
    return depth == 20000 ? 0 : 1;
}
