// Danger: a thousand threads that live for one allocation: streams must be taken over, not piled up.
// build: gcc -O2 -g -pthread
#include "ledger.h"
#include <pthread.h>

static void *body(void *unused) {
    (void)unused;
    void *kept = took(MALLOC, 4099, malloc(4099));
    give(1013, took(MALLOC, 1013, malloc(1013)));
    return kept;
}

int main(void) {
    for (int i = 0; i < 1000; i++) {
        pthread_t thread;
        void *block;
        pthread_create(&thread, NULL, body, NULL);
        pthread_join(thread, &block);
        give(4099, block);
    }
    ledger_write();
    return 0;
}
