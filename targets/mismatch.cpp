// Danger: blocks given back by the wrong function. glibc forgives these: the program runs, and the
// tape must show who took and who gave.
// build: g++ -O2 -g -Wno-mismatched-new-delete
#define LEDGER_PEAK
#include "ledger.h"
#include <new>

int main() {
    void *p = took(MALLOC, 1013, malloc(1013));
    gave(DELETE, 1013), operator delete(p);
    p = took(NEW, 2003, operator new(2003));
    give(2003, p);
    p = took(NEW_ARRAY, 3001, operator new[](3001));
    gave(DELETE, 3001), operator delete(p);
    p = took(NEW, 4099, operator new(4099));
    gave(DELETE_ARRAY, 4099), operator delete[](p);
    p = took(NEW, 5003, operator new(5003));
    gave(DELETE, 5003), operator delete(p, (size_t)5000); // a wrong size
    ledger_write();
}
