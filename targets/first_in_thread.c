// Danger: the first allocator call of a thread is a free, a realloc, a calloc, an aligned allocation.
// build: gcc -O2 -g -pthread
#include "ledger.h"
#include <pthread.h>

static void *first_free(void *block) {
    give(4099, block);
    return NULL;
}

static void *first_realloc(void *block) {
    return retook(REALLOC, 4099, 10007, realloc(block, 10007));
}

static void *first_malloc(void *unused) {
    (void)unused;
    return took(MALLOC, 1013, malloc(1013));
}

static void *first_calloc(void *unused) {
    (void)unused;
    return took(CALLOC, 3 * 2003, calloc(3, 2003));
}

static void *first_aligned(void *unused) {
    (void)unused;
    return took(ALIGNED_ALLOC, 3008, aligned_alloc(64, 3008));
}

static void *in_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, body, argument);
    pthread_join(thread, &result);
    return result;
}

int main(void) {
    in_thread(first_free, took(MALLOC, 4099, malloc(4099)));
    give(10007, in_thread(first_realloc, took(MALLOC, 4099, malloc(4099))));
    give(1013, in_thread(first_malloc, NULL));
    give(6009, in_thread(first_calloc, NULL));
    in_thread(first_aligned, NULL); // never freed
    ledger_write();
    return 0;
}
