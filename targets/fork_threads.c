// Danger: fork while other threads are in the middle of malloc and free.
// build: gcc -O2 -g -pthread
#include "ledger.h"
#include <pthread.h>
#include <sys/wait.h>

static int stop;

// Sizes the ledger does not speak about: how far the noise gets differs from run to run.
static void *noise(void *unused) {
    (void)unused;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        void *p = malloc(777);
        __asm__ volatile("" : "+r"(p));
        free(p);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, noise, NULL);
    void *inherited = took(MALLOC, 10007, malloc(10007));
    int sum = 0;
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        if (child == 0) {
            ledger_forked();
            give(10007, inherited);
            for (int k = 0; k < 100; k++) {
                void *p = took(MALLOC, 4099, malloc(4099));
                give(4099, p);
            }
            ledger_write();
            _exit(1);
        }
        int status;
        waitpid(child, &status, 0);
        sum += WEXITSTATUS(status);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ledger_write();
    return sum;
}
