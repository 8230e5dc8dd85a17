// Danger: a storm of C++ exceptions through frames that own memory, in two threads.
// build: g++ -O2 -g -pthread
// build(frame_pointer): g++ -O2 -g -pthread -fno-omit-frame-pointer
#include "ledger.h"
#include <stdexcept>
#include <thread>

struct Block {
    void *p = took(MALLOC, 4099, malloc(4099));
    ~Block() { give(4099, p); }
};

static __attribute__((noinline)) int descend(int depth) {
    Block block;
    if (depth == 0)
        throw std::runtime_error("deep down");
    int below = descend(depth - 1);
    __asm__ volatile("" : : "r"(&block));
    return below + 1;
}

static void storm() {
    for (int i = 0; i < 3000; i++)
        try {
            descend(i % 20);
        } catch (const std::exception &) {
            void *p = took(MALLOC, 1013, malloc(1013));
            give(1013, p);
        }
}

int main() {
    std::thread other(storm);
    storm();
    other.join();
    ledger_write();
}
