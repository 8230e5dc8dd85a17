// A storm of threads that free each other's blocks: each block is put into a mailbox at random, and who finds one
// there frees it. Arguments: blocks per thread, threads.
// build: gcc -O2 -g -pthread
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAILBOXES = 256 };

static struct {
    _Alignas(64) _Atomic(void *) block;
} mailboxes[MAILBOXES];
static long blocks;

__attribute__((noinline)) static void *fill(size_t size) {
    char *block = malloc(size);
    block[0] = 1;
    __asm__ volatile("" ::: "memory");
    return block;
}

static void *run(void *argument) {
    unsigned seed = 42 + (unsigned)(size_t)argument;
    for (long i = 0; i < blocks; i++) {
        seed = seed * 1103515245 + 12345;
        void *block = fill(16 + (seed >> 16) % 400);
        free(atomic_exchange(&mailboxes[(seed >> 8) % MAILBOXES].block, block));
    }
    return NULL;
}

int main(int count, char **arguments) {
    blocks = count > 1 ? atol(arguments[1]) : 1000000;
    int threads = count > 2 ? atoi(arguments[2]) : 2;
    if (threads < 1 || threads > 64) return 2;
    pthread_t all[64];
    for (size_t i = 0; i < (size_t)threads; i++) pthread_create(&all[i], NULL, run, (void *)i);
    for (int i = 0; i < threads; i++) pthread_join(all[i], NULL);
    for (int i = 0; i < MAILBOXES; i++) free(mailboxes[i].block);
    printf("%ld\n", blocks * threads);
}
