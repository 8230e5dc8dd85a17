// For each line on standard input: a block is lost and another one kept, by a thread that waits for the next line
// with a third on its stack only. Prints a line each time, when that is done, the first with its pid.
// build: gcc -O0 -g -pthread

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *kept[64];

static __attribute__((noinline)) void grow(int turn) {
    memset(malloc(2001), 0, 2001);
    kept[turn] = calloc(1, 2003);
    volatile char wipe[4096];
    memset((char *)wipe, 0, sizeof wipe);
}

static void *work(void *none) {
    void *volatile on_stack = calloc(1, 2005);
    char line[16];
    for (int turn = 0; turn < 64 && read(0, line, 1) == 1; turn++) {
        grow(turn);
        printf("%d\n", getpid());
        fflush(stdout);
    }
    free(on_stack);
    return none;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, 0, work, 0);
    pthread_join(thread, 0);
    return 3;
}
