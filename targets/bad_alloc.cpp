// Danger: operator new that fails: new_handler is called, then bad_alloc is thrown through our frames.
// build: g++ -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <new>

static int calls;

static void on_failure() {
    void *p = took(MALLOC, 1013, malloc(1013));
    give(1013, p);
    if (++calls % 3 == 0)
        std::set_new_handler(nullptr);
}

int main() {
    volatile size_t impossible = PTRDIFF_MAX - 4099;
    int caught = 0;
    for (int i = 0; i < 100; i++) {
        std::set_new_handler(on_failure);
        try {
            took(NEW, impossible, ::operator new(impossible));
        } catch (const std::bad_alloc &) {
            took(NEW, impossible, nullptr);
            caught++;
        }
        took(NEW, impossible, ::operator new(impossible, std::nothrow));
    }
    void *p = took(NEW, 10007, ::operator new(10007));
    gave(DELETE, 10007), ::operator delete(p);
    ledger_write();
    return caught == 100 && calls == 300 ? 0 : 1;
}
