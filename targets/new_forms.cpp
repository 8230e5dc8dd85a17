// Danger: operator new and delete in every form: sized, aligned, nothrow, array, and placement.
// build: g++ -O2 -g -std=c++17
// build(static_runtime): g++ -O2 -g -std=c++17 -static-libstdc++ -static-libgcc
#define LEDGER_PEAK
#include "ledger.h"
#include <new>

using std::align_val_t;
using std::nothrow;

int main() {
    void *p;
    p = took(NEW, 1013, operator new(1013));
    gave(DELETE, 1013), operator delete(p);
    p = took(NEW, 1019, operator new(1019, nothrow));
    gave(DELETE, 1019), operator delete(p, nothrow);
    p = took(NEW, 1021, operator new(1021));
    gave(DELETE, 1021), operator delete(p, (size_t)1021);
    p = took(NEW, 1031, operator new(1031, align_val_t(64)));
    gave(DELETE, 1031), operator delete(p, align_val_t(64));
    p = took(NEW, 1033, operator new(1033, align_val_t(128), nothrow));
    gave(DELETE, 1033), operator delete(p, align_val_t(128), nothrow);
    p = took(NEW, 1039, operator new(1039, align_val_t(4096)));
    gave(DELETE, 1039), operator delete(p, (size_t)1039, align_val_t(4096));

    p = took(NEW_ARRAY, 2003, operator new[](2003));
    gave(DELETE_ARRAY, 2003), operator delete[](p);
    p = took(NEW_ARRAY, 2011, operator new[](2011, nothrow));
    gave(DELETE_ARRAY, 2011), operator delete[](p, nothrow);
    p = took(NEW_ARRAY, 2017, operator new[](2017));
    gave(DELETE_ARRAY, 2017), operator delete[](p, (size_t)2017);
    p = took(NEW_ARRAY, 2027, operator new[](2027, align_val_t(64)));
    gave(DELETE_ARRAY, 2027), operator delete[](p, align_val_t(64));
    p = took(NEW_ARRAY, 2029, operator new[](2029, align_val_t(128), nothrow));
    gave(DELETE_ARRAY, 2029), operator delete[](p, align_val_t(128), nothrow);
    p = took(NEW_ARRAY, 2039, operator new[](2039, align_val_t(4096)));
    gave(DELETE_ARRAY, 2039), operator delete[](p, (size_t)2039, align_val_t(4096));

    struct Big { char bytes[4099]; };
    struct alignas(256) Aligned { char bytes[4608]; };
    Big *big = static_cast<Big *>(took(NEW, 4099, new Big));
    Aligned *aligned = static_cast<Aligned *>(took(NEW, 4608, new Aligned));
    static char storage[sizeof(Big)];
    Big *placed = new (storage) Big; // allocates nothing
    __asm__ volatile("" : : "r"(placed));
    gave(DELETE, 4099);
    delete big;
    gave(DELETE, 4608);
    delete aligned;
    took(NEW_ARRAY, 10007, new char[10007]); // never freed
    ledger_write();
}
