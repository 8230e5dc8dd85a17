// Danger: every way to end: what was recorded before must be on the tape.
// argument: the way
// build: gcc -O2 -g -pthread -Wno-infinite-recursion
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

static void *outlives_main(void *unused) {
    (void)unused;
    usleep(50000);
    give(10007, took(MALLOC, 10007, malloc(10007)));
    ledger_write();
    return NULL;
}

static __attribute__((noinline)) int fall(volatile char *above) {
    volatile char frame[1024];
    frame[0] = *above;
    return fall(frame) + frame[0];
}

int main(int argc, char **argv) {
    const char *way = argc > 1 ? argv[1] : "return";
    // From a pipe on, stdout is full-buffered: exit flushes it, _exit does not.
    printf("ending: %s\n", way);
    for (int i = 0; i < 1000; i++) {
        void *p = took(MALLOC, 1013, malloc(1013));
        if (i % 10)
            give(1013, p);
    }
    if (strcmp(way, "pthread_exit") == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, outlives_main, NULL);
        pthread_detach(thread);
        pthread_exit(NULL);
    }
    took(MALLOC, 4099, malloc(4099));
    ledger_write();
    if (strcmp(way, "exit") == 0)
        exit(3);
    if (strcmp(way, "_exit") == 0)
        _exit(4);
    if (strcmp(way, "_Exit") == 0)
        _Exit(5);
    if (strcmp(way, "quick_exit") == 0)
        quick_exit(6);
    if (strcmp(way, "abort") == 0)
        abort();
    if (strcmp(way, "kill") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(way, "term") == 0)
        raise(SIGTERM);
    if (strcmp(way, "segv") == 0)
        *(volatile int *)4099 = 1;
    if (strcmp(way, "overflow") == 0) {
        char first = 0;
        return fall(&first);
    }
    if (strcmp(way, "double_free") == 0) {
        void *p = malloc(77);
        void *again = p;
        __asm__ volatile("" : "+r"(again));
        free(p);
        free(again); // glibc's tcache finds it and aborts
    }
    return 0;
}
