// Danger: operator new that fails: new_handler is called, which itself allocates, and then either
// bad_alloc is thrown through our frames or another attempt succeeds, as operator new's own.
// build: g++ -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <new>
#include <sys/resource.h>

static int calls;

static void on_failure() {
    void *p = took(MALLOC, 1013, malloc(1013));
    give(1013, p);
    if (++calls % 3 == 0)
        std::set_new_handler(nullptr);
}

// Lets the next attempt succeed.
static void lift_the_limit() {
    give(1013, took(MALLOC, 1013, malloc(1013)));
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_AS, &limit);
}

static void succeed_at_the_second_attempt() {
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = 1 << 20; // far below what is mapped: no new mapping can be had
    setrlimit(RLIMIT_AS, &limit);
    std::set_new_handler(lift_the_limit);
    void *p = took(NEW, 10000019, ::operator new(10000019));
    gave(DELETE, 10000019), ::operator delete(p);
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
    succeed_at_the_second_attempt();
    void *p = took(NEW, 10007, ::operator new(10007));
    gave(DELETE, 10007), ::operator delete(p);
    ledger_write();
    return caught == 100 && calls == 300 ? 0 : 1;
}
