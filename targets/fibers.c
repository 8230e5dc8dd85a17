// Danger: coroutines on stacks of their own (makecontext) that allocate, switch, and are unmapped.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <sys/mman.h>
#include <ucontext.h>

#define STACK (64 << 10)

static ucontext_t home, fiber;
static void *handed_over;

static __attribute__((noinline)) void allocate_and_switch(int depth) {
    if (depth > 0) {
        allocate_and_switch(depth - 1);
        __asm__ volatile("" : : "r"(&depth));
        return;
    }
    handed_over = took(MALLOC, 4099, malloc(4099));
    swapcontext(&fiber, &home);
    give(1013, took(MALLOC, 1013, malloc(1013)));
}

static void body(void) {
    for (int i = 0;; i++)
        allocate_and_switch(i % 8);
}

int main(void) {
    for (int i = 0; i < 200; i++) {
        void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        getcontext(&fiber);
        fiber.uc_stack.ss_sp = stack;
        fiber.uc_stack.ss_size = STACK;
        fiber.uc_link = NULL;
        makecontext(&fiber, body, 0);
        for (int k = 0; k < 20; k++) {
            swapcontext(&home, &fiber);
            give(4099, handed_over);
        }
        munmap(stack, STACK); // the fiber never returns; its frames are gone
    }
    ledger_write();
    return 0;
}
