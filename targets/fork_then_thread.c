// Danger: a forked child whose first call is that of another thread than the one that forked.
// build: gcc -O1 -g -pthread
#include "ledger.h"
#include <pthread.h>
#include <sys/wait.h>

enum { ROUNDS = 100 };

static void *work(void *argument) {
    (void)argument;
    for (int i = 0; i < ROUNDS; i++)
        give(4099, took(MALLOC, 4099, malloc(4099)));
    return NULL;
}

static void thread(void) {
    pthread_t worker;
    pthread_create(&worker, NULL, work, NULL);
    pthread_join(worker, NULL);
}

int main(void) {
    // Leaves a stack that the next thread is given without any call of malloc, in the child too.
    thread();
    void *kept = took(MALLOC, 4111, malloc(4111));
    pid_t child = fork();
    if (child == 0) {
        ledger_forked();
        thread();
        give(4111, kept);
        for (int i = 0; i < ROUNDS; i++)
            give(5003, took(MALLOC, 5003, malloc(5003)));
        ledger_write();
        _exit(0);
    }
    for (int i = 0; i < ROUNDS; i++)
        give(5009, took(MALLOC, 5009, malloc(5009)));
    waitpid(child, NULL, 0);
    give(4111, kept);
    ledger_write();
    return 0;
}
