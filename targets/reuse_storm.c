// Danger: eight threads hand blocks to each other and free them, so that every address is reused by
// another thread at once. A tape in the wrong order frees what is not there.
// build: gcc -O2 -g -pthread
#include "ledger.h"
#include <pthread.h>

#define THREADS 8
#define SLOTS 16

static void *slots[SLOTS];

static void *body(void *seed_pointer) {
    unsigned seed = (unsigned)(uintptr_t)seed_pointer;
    for (int i = 0; i < 50000; i++) {
        seed = seed * 1103515245u + 12345u;
        void *p = took(MALLOC, 1201, malloc(1201));
        void *old = __atomic_exchange_n(&slots[seed >> 16 & (SLOTS - 1)], p, __ATOMIC_ACQ_REL);
        if (old != NULL)
            give(1201, old);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, body, (void *)(i * 7919 + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < SLOTS; i++)
        give(1201, slots[i]);
    ledger_write();
    return 0;
}
