// Blocks given back by a function of another family than the one that gave them. glibc forgives all of it.
// build: g++ -std=c++17 -O1 -g -w -fno-builtin -fno-allocation-dce -pthread
#include "case.h"
#include <memory>
#include <new>

struct Plain {
    long a = 1, b = 2;
};

CASE(new_free) {
    auto p = new Plain;
    if (bad)
        free(p);
    else
        delete p;
}

CASE(new_array_free) {
    auto p = new char[100];
    if (bad)
        free(p);
    else
        delete[] p;
}

CASE(malloc_delete) {
    auto p = static_cast<char *>(malloc(100));
    if (bad)
        delete p;
    else
        free(p);
}

CASE(malloc_delete_array) {
    auto p = static_cast<char *>(malloc(100));
    if (bad)
        delete[] p;
    else
        free(p);
}

CASE(calloc_delete) {
    auto p = static_cast<long *>(calloc(10, sizeof(long)));
    if (bad)
        delete p;
    else
        free(p);
}

CASE(realloc_delete) {
    auto p = static_cast<char *>(realloc(malloc(10), 5000));
    if (bad)
        delete p;
    else
        free(p);
}

CASE(strdup_delete_array) {
    auto p = strdup("a text of some length");
    if (bad)
        delete[] p;
    else
        free(p);
}

CASE(new_delete_array) {
    auto p = new Plain;
    if (bad)
        delete[] p;
    else
        delete p;
}

CASE(new_array_delete) {
    auto p = new char[100];
    if (bad)
        delete p;
    else
        delete[] p;
}

CASE(new_realloc) {
    auto p = static_cast<char *>(bad ? operator new(100) : malloc(100));
    free(realloc(p, 5000));
}

CASE(nothrow_new_free) {
    auto p = new (std::nothrow) Plain;
    if (bad)
        free(p);
    else
        delete p;
}

struct alignas(64) Line {
    char bytes[128];
};

CASE(aligned_new_free) {
    auto p = new Line;
    if (bad)
        free(p);
    else
        delete p;
}

CASE(memalign_delete) {
    void *p = nullptr;
    if (posix_memalign(&p, 64, 128) != 0)
        return;
    if (bad)
        delete static_cast<Line *>(p);
    else
        free(p);
}

CASE(aligned_alloc_delete_array) {
    auto p = static_cast<char *>(aligned_alloc(64, 128));
    if (bad)
        delete[] p;
    else
        free(p);
}

// Taken with an alignment, given back without one.
CASE(aligned_new_plain_delete) {
    void *p = operator new(128, std::align_val_t(64));
    if (bad)
        operator delete(p);
    else
        operator delete(p, std::align_val_t(64));
}

CASE(plain_new_aligned_delete) {
    void *p = operator new(128);
    if (bad)
        operator delete(p, std::align_val_t(64));
    else
        operator delete(p);
}

CASE(other_alignment) {
    void *p = operator new(256, std::align_val_t(128));
    operator delete(p, std::align_val_t(bad ? 32 : 128));
}

CASE(other_size) {
    void *p = operator new(100);
    operator delete(p, std::size_t(bad ? 40 : 100));
}

CASE(other_size_of_array) {
    void *p = operator new[](100);
    operator delete[](p, std::size_t(bad ? 104 : 100));
}

struct Base {
    long a = 1;
};
struct Derived : Base {
    long more[10] = {};
};

// No virtual destructor: delete gives back the size of the base.
CASE(size_of_base) {
    auto p = new Derived;
    if (bad)
        delete static_cast<Base *>(p);
    else
        delete p;
}

CASE(unique_of_array) {
    if (bad)
        std::unique_ptr<char> owner(new char[100]);
    else
        std::unique_ptr<char[]> owner(new char[100]);
}

CASE(shared_of_array) {
    if (bad)
        std::shared_ptr<long> owner(new long[10]);
    else
        std::shared_ptr<long[]> owner(new long[10]);
}

CASE(unique_of_malloc) {
    auto p = static_cast<char *>(malloc(100));
    if (bad)
        std::unique_ptr<char> owner(p);
    else
        std::unique_ptr<char, decltype(&free)> owner(p, free);
}

CASE(deleter_of_new) {
    auto p = new Plain;
    if (bad)
        std::unique_ptr<Plain, decltype(&free)> owner(p, free);
    else
        std::unique_ptr<Plain> owner(p);
}

CASE(allocator_free) {
    std::allocator<long> all;
    long *p = all.allocate(10);
    if (bad)
        free(p);
    else
        all.deallocate(p, 10);
}

static void *free_it(void *p) {
    free(p);
    return nullptr;
}

static void *delete_it(void *p) {
    delete static_cast<Plain *>(p);
    return nullptr;
}

CASE(in_other_thread) { in_thread(bad ? free_it : delete_it, new Plain); }
