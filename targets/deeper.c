// Danger: recursion deeper than the recorder keeps frames of, by functions that call each other from several
// places: down and up again, out of it by a jump, on two stacks in turn, and in a thread. Backtraces are
// cut and counted, the blocks are all there.
// build: gcc -O2 -g -pthread
#define LEDGER_PEAK
#include "ledger.h"
#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#define LEVELS 40000
#define STACK ((size_t)16 << 20)

// What is done at the bottom; fiber number i does SWITCH + i.
enum { RETURN, JUMP, SWITCH };

static jmp_buf out;
static ucontext_t home, fiber[2];
static unsigned noise = 1;

static void bottom(int what);

// A real call at each level: what comes after it needs the frame.
#define CALL(function) \
    __extension__({ int result = function(depth - 1, what); __asm__ volatile("" : "+r"(result)); result; })

static int right(int depth, int what);

static __attribute__((noinline)) int left(int depth, int what) {
    void *p = depth % 100 == 0 ? took(MALLOC, 1013, malloc(1013)) : NULL;
    int below = 0;
    noise = noise * 1103515245 + 12345;
    if (depth == 0)
        bottom(what);
    else
        below = noise >> 31 ? CALL(left) + 1 : CALL(right) + 1;
    if (p != NULL) {
        give(1013, p);
        give(4099, took(MALLOC, 4099, malloc(4099)));
    }
    return below;
}

static __attribute__((noinline)) int right(int depth, int what) {
    volatile char room[40] = {0};
    int below = 0;
    if (depth == 0)
        bottom(what);
    else
        below = depth & 1 ? CALL(left) + 1 : CALL(right) + 1;
    return below + room[0];
}

static void bottom(int what) {
    if (what == JUMP)
        longjmp(out, 1);
    while (what >= SWITCH) {
        give(10007, took(MALLOC, 10007, malloc(10007)));
        swapcontext(&fiber[what - SWITCH], &home);
    }
}

static void body(int number) {
    left(LEVELS, SWITCH + number);
}

static void two_stacks_in_turn(void) {
    void *stacks[2];
    for (int i = 0; i < 2; i++) {
        stacks[i] = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        getcontext(&fiber[i]);
        fiber[i].uc_stack.ss_sp = stacks[i];
        fiber[i].uc_stack.ss_size = STACK;
        makecontext(&fiber[i], (void (*)(void))body, 1, i);
    }
    for (int i = 0; i < 40; i++)
        swapcontext(&home, &fiber[i % 2]);
    for (int i = 0; i < 2; i++)
        munmap(stacks[i], STACK);
}

static void *everything(void *unused) {
    if (left(LEVELS, RETURN) != LEVELS)
        _exit(1);
    if (setjmp(out) == 0)
        left(LEVELS, JUMP);
    give(10007, took(MALLOC, 10007, malloc(10007)));
    two_stacks_in_turn();
    return unused;
}

int main(void) {
    pthread_t thread;
    pthread_attr_t attributes;
    everything(NULL);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_create(&thread, &attributes, everything, NULL);
    pthread_join(thread, NULL);
    ledger_write();
    return 0;
}
