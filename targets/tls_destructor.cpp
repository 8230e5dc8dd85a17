// Danger: thread-local destructors that allocate and free while their thread is dying.
// build: g++ -O2 -g -pthread
#include "ledger.h"
#include <pthread.h>
#include <thread>

static pthread_key_t key;

struct Kept {
    void *block = took(MALLOC, 4099, malloc(4099));
    ~Kept() {
        give(4099, block);
        took(MALLOC, 1013, malloc(1013)); // never freed
    }
};

static thread_local Kept kept;

// Runs once more for the value it sets: three rounds in all.
static void destroy(void *block) {
    give(2003, block);
    static thread_local int rounds = 0;
    if (++rounds < 3)
        pthread_setspecific(key, took(MALLOC, 2003, malloc(2003)));
    else
        took(MALLOC, 3001, malloc(3001)); // never freed
}

int main() {
    pthread_key_create(&key, destroy);
    for (int i = 0; i < 20; i++)
        std::thread([] {
            pthread_setspecific(key, took(MALLOC, 2003, malloc(2003)));
            __asm__ volatile("" : : "r"(kept.block));
        }).join();
    ledger_write();
}
