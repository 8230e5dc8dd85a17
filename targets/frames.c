// Danger: frames whose size is known at run time only (alloca, VLA) and frames realigned to 64 bytes.
// build: gcc -O2 -g
// build(frame_pointer): gcc -O2 -g -fno-omit-frame-pointer
#define LEDGER_PEAK
#include "ledger.h"
#include <alloca.h>

static __attribute__((noinline)) void *allocate_innermost(void) {
    void *p = took(MALLOC, 4099, malloc(4099));
    __asm__ volatile("" : "+r"(p));
    return p;
}

static __attribute__((noinline)) void *under_alloca(size_t room) {
    char *scratch = alloca(room);
    memset(scratch, 1, room);
    void *p = allocate_innermost();
    __asm__ volatile("" : : "r"(scratch) : "memory");
    return p;
}

static __attribute__((noinline)) void *under_vla(size_t room) {
    char scratch[room];
    memset(scratch, 2, room);
    void *p = under_alloca(room + 100);
    __asm__ volatile("" : : "r"(scratch) : "memory");
    return p;
}

static __attribute__((noinline)) void *under_realigned(size_t room) {
    _Alignas(64) char scratch[128];
    memset(scratch, 3, sizeof scratch);
    void *p = under_vla(room);
    __asm__ volatile("" : : "r"(scratch) : "memory");
    return p;
}

int main(void) {
    for (size_t i = 1; i <= 1000; i++)
        give(4099, under_realigned(i));
    ledger_write();
    return 0;
}
