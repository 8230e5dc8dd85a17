// Danger: a library's operators new and delete keep a pool, so that what they said is followed by no malloc or free of
// theirs; the next ones are the program's.
// build: g++ -O2 -g {errors/pooled_operators}
#include <cstdlib>

struct Small { char bytes[40]; };
struct Large { char bytes[400]; };

template <class T> static T *hide(T *pointer) {
    __asm__ volatile("" : "+r"(pointer));
    return pointer;
}

__attribute__((noinline)) static void release(void *block) {
    free(block);
    hide(block);
}

int main() {
    for (int i = 0; i < 50; i++) {
        void *before = hide(malloc(30)), *other = hide(malloc(400));
        Small *small = hide(new Small);
        void *same = hide(malloc(400));
        delete small;
        release(before);
        Large *large = hide(new Large);
        delete hide(new Small);
        release(other);
        delete large;
        release(same);
    }
    return 0;
}
