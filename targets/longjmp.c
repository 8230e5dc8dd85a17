// Danger: longjmp over frames that allocated, again and again, from changing depths.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <setjmp.h>

static jmp_buf top;

static __attribute__((noinline)) void descend(int depth, void **slot) {
    void *p = took(MALLOC, 1013, malloc(1013));
    give(1013, p);
    if (depth == 0) {
        *slot = took(MALLOC, 4099, malloc(4099));
        longjmp(top, 1);
    }
    descend(depth - 1, slot);
    __asm__ volatile("" : : "r"(&depth)); // no tail call
}

int main(void) {
    static void *slot;
    for (volatile int i = 0; i < 2000; i++) {
        if (setjmp(top) == 0)
            descend(i % 40, &slot);
        else
            give(4099, slot);
    }
    ledger_write();
    return 0;
}
