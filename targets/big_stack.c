// Danger: large frames and a stack that the program chose itself, in a static array.
// build: gcc -O2 -g -pthread
#include "ledger.h"
#include <pthread.h>

static _Alignas(4096) char stack[8 << 20];

static __attribute__((noinline)) void *with_large_frame(void) {
    char frame[3 << 20];
    memset(frame, 1, sizeof frame);
    void *p = took(MALLOC, 4099, malloc(4099));
    __asm__ volatile("" : : "r"(frame) : "memory");
    return p;
}

static void *body(void *unused) {
    (void)unused;
    for (int i = 0; i < 10; i++)
        give(4099, with_large_frame());
    return NULL;
}

int main(void) {
    body(NULL);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, sizeof stack);
    pthread_t thread;
    pthread_create(&thread, &attributes, body, NULL);
    pthread_join(thread, NULL);
    ledger_write();
    return 0;
}
