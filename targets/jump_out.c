// Danger: a signal handler leaves malloc by siglongjmp, after ever more of its instructions, always at
// the same depth of the stack. A single-step trap per instruction says when.
// build: gcc -O2 -g -mno-red-zone -Wl,-z,now {allocator}
#define LEDGER_PEAK
#include "ledger.h"
#include <setjmp.h>
#include <signal.h>

enum { ROUNDS = 400, STRIDE = 5, DEPTH = 12 };

static sigjmp_buf top;
static volatile int steps_left;

// The kernel runs a handler without the trap flag, and a jump does not restore it.
static void step(int signal) {
    (void)signal;
    if (--steps_left == 0)
        siglongjmp(top, 1);
}

static void trap(int on) {
    if (on)
        __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" : : : "memory", "cc");
    else
        __asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" : : : "memory", "cc");
}

// Allocates at the end of a path of DEPTH calls that `path` chooses: a new backtrace for each.
__attribute__((noinline)) static void *descend(int depth, unsigned path, size_t size, int steps) {
    void *p;
    if (depth == 0) {
        steps_left = steps;
        if (steps > 0)
            trap(1);
        p = malloc(size);
        if (steps > 0)
            trap(0);
    } else if (path & 1) {
        p = descend(depth - 1, path >> 1, size, steps);
    } else {
        p = descend(depth - 1, path >> 1, size, steps);
        __asm__ volatile("nop"); // or both were one call
    }
    __asm__ volatile("" : "+r"(p)); // no tail call
    return p;
}

int main(void) {
    struct sigaction action = {.sa_handler = step, .sa_flags = SA_NODEFER};
    sigaction(SIGTRAP, &action, NULL);
    took(MALLOC, 4099, descend(DEPTH, 0, 4099, 0));
    for (volatile unsigned round = 1; round < ROUNDS; round++) {
        // How many of these are on the tape, nobody can say: the jump may come before the real malloc.
        if (sigsetjmp(top, 1) == 0)
            descend(DEPTH, round, 1013, (int)round * STRIDE);
        took(MALLOC, 4099, descend(DEPTH, round, 4099, 0));
    }
    ledger_write();
    return 0;
}
