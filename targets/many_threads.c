// Danger: 64 threads alive at once, named, all allocating between two barriers.
// build: gcc -O2 -g -pthread
#define _GNU_SOURCE
#include "ledger.h"
#include <pthread.h>
#include <stdio.h>

#define THREADS 64

static pthread_barrier_t all;

static void *body(void *number) {
    char name[16];
    snprintf(name, sizeof name, "worker-%d", (int)(uintptr_t)number);
    pthread_setname_np(pthread_self(), name);
    void *first = took(MALLOC, 4099, malloc(4099));
    pthread_barrier_wait(&all);
    for (int i = 0; i < 500; i++)
        give(1013, took(MALLOC, 1013, malloc(1013)));
    pthread_barrier_wait(&all);
    give(4099, first);
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&all, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, body, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ledger_write();
    return 0;
}
