// Danger: a signal handler leaves malloc by siglongjmp, after ever more of its instructions, always at
// the same depth of the stack. A single-step trap per instruction says when.
// build: gcc -O2 -g -mno-red-zone -Wl,-z,now {allocator}
#define LEDGER_PEAK
#include "ledger.h"
#include <setjmp.h>
#include <signal.h>

// Recorded, such a call takes some 4700 instructions: the last rounds leave it when it is over.
enum { ROUNDS = 300, STRIDE = 19, DEPTH = 12 };

static sigjmp_buf top;
static volatile int steps_left;

// The kernel runs a handler without the trap flag, and a jump does not restore it.
static void step(int signal) {
    (void)signal;
    if (--steps_left == 0)
        siglongjmp(top, 1);
}

// Sets the trap flag of the processor, or clears it.
static void trap(int on) {
    uint64_t flag = on ? 0x100 : 0;
    __asm__ volatile("pushfq; andq $~0x100, (%%rsp); orq %0, (%%rsp); popfq"
                     :
                     : "r"(flag)
                     : "memory", "cc");
}

// Allocates at the end of a path of DEPTH calls that `path` chooses: a new backtrace for each.
__attribute__((noipa)) static void *descend(int depth, unsigned path, size_t size, int steps) {
    void *p;
    if (depth == 0) {
        steps_left = steps;
        trap(steps > 0);
        p = malloc(size);
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
    // Round 0 shows all the code to the recorder; every other steps along a new path, and then takes it
    // again at ease.
    for (volatile unsigned call = 0; call < 2 * ROUNDS; call++) {
        unsigned round = call / 2, path = round > 0 ? round : -call;
        int steps = round > 0 && call % 2 == 0 ? (int)round * STRIDE : 0;
        if (sigsetjmp(top, 1) != 0)
            continue; // whether this block is on the tape depends on where the jump came
        void *p = descend(DEPTH, path, steps > 0 ? 1013 : 4099, steps);
        if (steps == 0)
            took(MALLOC, 4099, p);
    }
    ledger_write();
    return 0;
}
