// Danger: recursion 3000 frames deep, allocating at each level on the way down and freeing on the way
// up: backtraces share all but their tips.
// build: gcc -O2 -g
// build(frame_pointer): gcc -O2 -g -fno-omit-frame-pointer
#define LEDGER_PEAK
#include "ledger.h"

static __attribute__((noinline)) int descend(int depth) {
    void *p = took(MALLOC, 1013, malloc(1013));
    int below = depth > 1 ? descend(depth - 1) : 0;
    give(1013, p);
    return below + 1;
}

int main(void) {
    int depth = descend(3000);
    ledger_write();
    return depth == 3000 ? 0 : 1;
}
