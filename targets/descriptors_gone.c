// Danger: threads begin while no descriptor is to be had; later there are some again.
// build: gcc -O2 -g -pthread
#define _GNU_SOURCE
#include "ledger.h"
#include <pthread.h>
#include <sys/resource.h>

enum { THREADS = 12, CALLS = 1000 };

static pthread_barrier_t barrier;

// All are alive at once: none takes over what another left.
static void *body(void *argument) {
    size_t size = (size_t)argument;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < CALLS; i++)
        give(size, took(MALLOC, size, malloc(size)));
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void run(size_t size) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, body, (void *)size);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

int main(void) {
    took(MALLOC, 1013, malloc(1013));
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    run(4099);
    setrlimit(RLIMIT_NOFILE, &before);
    run(10007);
    give(2003, took(MALLOC, 2003, malloc(2003)));
    ledger_write();
    return 0;
}
