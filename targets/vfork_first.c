// Danger: a vfork child allocates where the thread that it borrows never has; it dies, and another
// thread begins, before that thread's own first call.
// build: gcc -O2 -g -pthread
#include "ledger.h"
#include <pthread.h>
#include <sys/wait.h>

enum { CALLS = 20000 };

static pthread_barrier_t child_is_gone, both_run;

static void *borrowed(void *unused) {
    pid_t child = vfork();
    if (child == 0) {
        void *p = malloc(77);
        __asm__ volatile("" : "+r"(p));
        free(p);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    pthread_barrier_wait(&child_is_gone);
    pthread_barrier_wait(&both_run);
    for (int i = 0; i < CALLS; i++)
        give(4099, took(MALLOC, 4099, malloc(4099)));
    return unused;
}

static void *other(void *unused) {
    give(10007, took(MALLOC, 10007, malloc(10007)));
    pthread_barrier_wait(&both_run);
    for (int i = 0; i < CALLS; i++)
        give(10007, took(MALLOC, 10007, malloc(10007)));
    return unused;
}

int main(void) {
    pthread_t first, second;
    pthread_barrier_init(&child_is_gone, NULL, 2);
    pthread_barrier_init(&both_run, NULL, 2);
    pthread_create(&first, NULL, borrowed, NULL);
    pthread_barrier_wait(&child_is_gone);
    pthread_create(&second, NULL, other, NULL);
    pthread_join(first, NULL);
    pthread_join(second, NULL);
    ledger_write();
    return 0;
}
