// Danger: while one thread's realloc moves a block, others are given the address it leaves.
// build: gcc -O2 -g -pthread
#include "ledger.h"
#include <pthread.h>

#define THREADS 8

// All threads share one arena's free lists through this mailbox.
static void *mailbox[64];

static void *body(void *seed_pointer) {
    unsigned seed = (unsigned)(uintptr_t)seed_pointer;
    static const size_t sizes[] = {1013, 1201, 1409, 1601};
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1103515245u + 12345u;
        size_t from = sizes[seed >> 16 & 3], to = sizes[seed >> 18 & 3];
        void *p = took(MALLOC, from, malloc(from));
        p = retook(REALLOC, from, to, realloc(p, to));
        // Bring all to one size so that whoever takes it out knows what it gives back.
        p = retook(REALLOC, to, 1013, realloc(p, 1013));
        void *old = __atomic_exchange_n(&mailbox[seed >> 20 & 63], p, __ATOMIC_ACQ_REL);
        if (old != NULL)
            give(1013, old);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, body, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ledger_write();
    return 0;
}
