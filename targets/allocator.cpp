// A library that is an allocator, as tcmalloc or mimalloc are: malloc's family and the operators new and
// delete, neither calling the other. A block given back is the next of its size to be taken. For programs
// of one thread.
// build: gcc -O2 -g -shared -fPIC -fno-exceptions -fno-builtin
// build(old_hash): gcc -O2 -g -shared -fPIC -fno-exceptions -fno-builtin -Wl,--hash-style=sysv
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace {

struct Block {
    size_t room;
    Block *next; // among those given back
};

alignas(4096) char pool[64 << 20];
char *top = pool;
Block *given_back;

Block *block_of(void *p) { return static_cast<Block *>(p) - 1; }

bool is_ours(void *p) { return p >= pool && p < top; }

// Leaving this halfway by longjmp loses memory, and no more.
void *take(size_t size, size_t align = 16) {
    size_t room = (size + 15) & ~size_t(15);
    for (Block **link = &given_back; *link != nullptr; link = &(*link)->next) {
        Block *block = *link;
        if (block->room == room && reinterpret_cast<uintptr_t>(block + 1) % align == 0) {
            *link = block->next;
            return block + 1;
        }
    }
    uintptr_t start = reinterpret_cast<uintptr_t>(top) + sizeof(Block);
    start = (start + align - 1) & ~(align - 1);
    if (size > sizeof pool || start + room > reinterpret_cast<uintptr_t>(pool + sizeof pool))
        return nullptr;
    Block *block = block_of(reinterpret_cast<void *>(start));
    block->room = room;
    top = reinterpret_cast<char *>(start + room);
    return block + 1;
}

void give_back(void *p) {
    if (p == nullptr)
        return;
    if (!is_ours(p))
        __builtin_trap(); // a block of another allocator
    Block *block = block_of(p);
    block->next = given_back;
    given_back = block;
}

} // namespace

extern "C" {
int allocator_has(void *p) { return is_ours(p); }

void *malloc(size_t size) { return take(size); }
void free(void *p) { give_back(p); }
void *calloc(size_t count, size_t size) {
    void *p = take(count * size);
    return p == nullptr ? p : memset(p, 0, count * size);
}
void *realloc(void *p, size_t size) {
    void *moved = take(size);
    if (p != nullptr && moved != nullptr) {
        size_t room = block_of(p)->room;
        memcpy(moved, p, room < size ? room : size);
        give_back(p);
    }
    return moved;
}
int posix_memalign(void **p, size_t align, size_t size) {
    *p = take(size, align);
    return *p == nullptr ? 12 : 0;
}
void *aligned_alloc(size_t align, size_t size) { return take(size, align); }
void *memalign(size_t align, size_t size) { return take(size, align); }
size_t malloc_usable_size(void *p) { return p == nullptr ? 0 : block_of(p)->room; }
}

using Align = std::align_val_t;
using Nothrow = const std::nothrow_t &;

void *operator new(size_t size) { return take(size); }
void *operator new[](size_t size) { return take(size); }
void *operator new(size_t size, Nothrow) noexcept { return take(size); }
void *operator new[](size_t size, Nothrow) noexcept { return take(size); }
void *operator new(size_t size, Align align) { return take(size, size_t(align)); }
void *operator new[](size_t size, Align align) { return take(size, size_t(align)); }
void operator delete(void *p) noexcept { give_back(p); }
void operator delete[](void *p) noexcept { give_back(p); }
void operator delete(void *p, size_t) noexcept { give_back(p); }
void operator delete[](void *p, size_t) noexcept { give_back(p); }
void operator delete(void *p, Nothrow) noexcept { give_back(p); }
void operator delete[](void *p, Nothrow) noexcept { give_back(p); }
void operator delete(void *p, Align) noexcept { give_back(p); }
void operator delete[](void *p, Align) noexcept { give_back(p); }
void operator delete(void *p, size_t, Align) noexcept { give_back(p); }
void operator delete[](void *p, size_t, Align) noexcept { give_back(p); }
