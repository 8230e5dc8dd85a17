// Danger: an allocator whose operators new and delete do not come by its malloc and free; the same
// address is taken and given back again and again, by every form.
// build: g++ -O2 -g {allocator}
#define LEDGER_PEAK
#include "ledger.h"
#include <new>

extern "C" int allocator_has(void *);

static void *last;

// Each form is to get the block that was given back just before.
static void *again(int api, void *p) {
    took(api, 4099, p);
    if (!allocator_has(p) || (last != nullptr && last != p))
        _exit(1);
    return last = p;
}

static void *ending(int api, void *p) {
    gave(api, 4099);
    return p;
}

int main() {
    const size_t size = 4099;
    constexpr std::align_val_t align{64};
    // The pool's first block that is aligned for all forms.
    last = took(ALIGNED_ALLOC, size, aligned_alloc(64, size));
    give(size, last);
    for (int i = 0; i < 100; i++) {
        operator delete(ending(DELETE, again(NEW, operator new(size))));
        operator delete(ending(DELETE, again(NEW, operator new(size))), size);
        operator delete(ending(DELETE, again(NEW, operator new(size, std::nothrow))), std::nothrow);
        operator delete(ending(DELETE, again(NEW, operator new(size, align))), align);
        operator delete(ending(DELETE, again(NEW, operator new(size, align))), size, align);
        operator delete[](ending(DELETE_ARRAY, again(NEW_ARRAY, operator new[](size))));
        operator delete[](ending(DELETE_ARRAY, again(NEW_ARRAY, operator new[](size))), size);
        operator delete[](ending(DELETE_ARRAY, again(NEW_ARRAY, operator new[](size, align))), align);
        free(ending(FREE, again(MALLOC, malloc(size))));
    }
    again(NEW, operator new(size)); // stays
    ledger_write();
    return 0;
}
