// The library of pooled: operators new and delete that mostly call neither malloc nor free.
// build: g++ -O2 -g -shared -fPIC
#include <cstdlib>
#include <new>

static const size_t SIZE = 64;
static void *pool;

void *operator new(size_t size) {
    if (size > SIZE)
        return malloc(size);
    if (pool == nullptr) {
        char *slab = static_cast<char *>(malloc(100 * SIZE));
        for (int i = 0; i < 100; i++) {
            *reinterpret_cast<void **>(slab + i * SIZE) = pool;
            pool = slab + i * SIZE;
        }
    }
    void *block = pool;
    pool = *static_cast<void **>(block);
    return block;
}

void operator delete(void *block, size_t size) noexcept {
    if (size > SIZE)
        return free(block);
    *static_cast<void **>(block) = pool;
    pool = block;
}
void operator delete(void *block) noexcept { operator delete(block, SIZE); }
