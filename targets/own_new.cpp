// Danger: the program brings its own operator new and delete; they must be called, and the mallocs
// they make recorded.
// build: g++ -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <new>
#include <string>

static int calls;

void *operator new(size_t size) {
    calls++;
    void *p = malloc(size);
    return size == 10007 || size == 4099 ? took(MALLOC, size, p) : p;
}

void operator delete(void *p) noexcept { free(p); }
void operator delete(void *p, size_t size) noexcept {
    if (size == 10007 || size == 4099)
        gave(FREE, size);
    free(p);
}

struct Big { char bytes[10007]; };

int main() {
    for (int i = 0; i < 100; i++) {
        Big *big = new Big;
        __asm__ volatile("" : "+r"(big));
        delete big;
    }
    std::string text(4098, 'x'); // its capacity and a zero
    __asm__ volatile("" : : "r"(text.data()));
    new Big;
    ledger_write();
    _exit(calls >= 101 ? 0 : 1); // without the string's destructor
}
