// Danger: allocations and frees in exit handlers, on_exit handlers and destructors, after main.
// build: gcc -O2 -g
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"

static void *kept;

static void in_handler(void) {
    give(4099, kept);
    for (int i = 0; i < 100; i++) {
        void *p = took(MALLOC, 1013, malloc(1013));
        if (i != 0)
            give(1013, p);
    }
}

static void with_status(int status, void *block) {
    (void)status;
    give(10007, block);
    took(CALLOC, 2003, calloc(1, 2003));
}

// Destructors run after the exit handlers.
__attribute__((destructor)) static void at_the_end(void) {
    took(MALLOC, 3001, malloc(3001));
    ledger_write();
}

int main(void) {
    kept = took(MALLOC, 4099, malloc(4099));
    atexit(in_handler);
    on_exit(with_status, took(MALLOC, 10007, malloc(10007)));
    exit(9);
}
