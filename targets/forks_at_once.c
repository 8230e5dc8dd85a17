// Danger: eight threads fork at once; each child has its own thread's block to free.
// build: gcc -O2 -g -pthread
#include "ledger.h"
#include <pthread.h>
#include <sys/wait.h>

enum { THREADS = 8, FORKS = 15 };

static pthread_barrier_t barrier;
static int sum;

static void *body(void *argument) {
    size_t size = 4099 + 2 * (size_t)argument;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < FORKS; i++) {
        void *block = took(MALLOC, size, malloc(size));
        pid_t child = fork();
        if (child == 0) {
            ledger_forked();
            give(size, block);
            ledger_write();
            _exit(1);
        }
        int status;
        waitpid(child, &status, 0);
        __atomic_add_fetch(&sum, WEXITSTATUS(status), __ATOMIC_RELAXED);
        give(size, block);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, body, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ledger_write();
    return sum; // 8 × 15
}
