// Danger: everything that C++ can give back wrongly, one act per run, by name; `good` does all of it right.
// build: g++ -O2 -g -w -std=c++17 -pthread
// build(static_runtime): g++ -O2 -g -w -std=c++17 -pthread -static-libstdc++ -static-libgcc
// build(static_plain): g++ -O0 -g -w -std=c++17 -pthread -static-libstdc++ -static-libgcc
// build(plain): g++ -O0 -g -w -std=c++17 -pthread
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>
#include <algorithm>

template <class T> static T *hide(T *pointer) {
    __asm__ volatile("" : "+r"(pointer));
    return pointer;
}

struct Plain { char bytes[40]; };
struct alignas(64) Aligned { char bytes[128]; };
struct Counted { int number = 1; ~Counted() { number = 0; } };
struct Base { virtual ~Base() {} int base = 1; };
struct Derived : Base { char more[200]; };
struct NotVirtual { int base = 1; };
struct Larger : NotVirtual { char more[200]; };

// Brings operators of its own, on malloc.
struct Own {
    char bytes[48];
    static void *operator new(size_t size) { return malloc(size); }
    static void *operator new[](size_t size) { return malloc(size); }
    static void operator delete(void *block) { free(block); }
    static void operator delete[](void *block) { free(block); }
};

static void malloc_delete() { delete hide(static_cast<Plain *>(malloc(sizeof(Plain)))); }
static void new_free() { free(hide(new Plain)); }
static void array_free() { free(hide(new Plain[3])); }
static void new_array_delete() { delete[] hide(new Plain); }
static void array_delete() { delete hide(new Plain[3]); }
static void malloc_array_delete() { delete[] hide(static_cast<char *>(malloc(30))); }
static void new_realloc() { free(realloc(hide(new Plain), 400)); }
static void aligned_plain() { ::operator delete(hide(static_cast<void *>(new Aligned))); }
static void plain_aligned() { ::operator delete(hide(static_cast<void *>(new Plain)), std::align_val_t(64)); }
static void wrong_size() { ::operator delete(hide(static_cast<void *>(new Plain)), size_t(41)); }
static void not_virtual() { delete static_cast<NotVirtual *>(hide(new Larger)); }
static void double_delete() {
    Plain *block = hide(new Plain);
    delete block;
    delete hide(block);
}
static void in_thread() { std::thread([] { free(hide(new Plain)); }).join(); }
static void often() {
    for (int i = 0; i < 1000; i++)
        free(hide(new Plain));
}

static void work() {
    delete hide(new Plain);
    delete[] hide(new Plain[3]);
    delete[] hide(new Counted[5]);
    delete hide(new Aligned);
    delete[] hide(new Aligned[2]);
    delete static_cast<Base *>(hide(new Derived));
    delete hide(new Own);
    delete[] hide(new Own[4]);
    delete hide(new (std::nothrow) Plain);
    ::operator delete(::operator new(100));
    ::operator delete(::operator new(100), size_t(100));
    ::operator delete[](::operator new[](100, std::align_val_t(32)), std::align_val_t(32));
    free(malloc(10));
    delete static_cast<Plain *>(nullptr);
    std::vector<std::string> texts;
    for (int i = 0; i < 100; i++)
        texts.push_back(std::string(i, 'x'));
    std::map<int, std::shared_ptr<Aligned>> map;
    for (int i = 0; i < 20; i++)
        map[i] = std::make_shared<Aligned>();
    auto buffer = std::get_temporary_buffer<Plain>(100);
    std::return_temporary_buffer(buffer.first);
    std::stable_sort(texts.begin(), texts.end());
    std::vector<Aligned> aligned(7);
    aligned.resize(70);
    new (std::malloc(sizeof(Plain))) Plain; // never freed
    try {
        throw std::string("thrown");
    } catch (const std::string &) {
    }
}

static void good() {
    std::thread threads[4];
    for (auto &thread : threads)
        thread = std::thread(work);
    work();
    for (auto &thread : threads)
        thread.join();
}

static const struct { const char *name; void (*act)(); } acts[] = {
    {"good", good},
    {"malloc_delete", malloc_delete},
    {"new_free", new_free},
    {"array_free", array_free},
    {"new_array_delete", new_array_delete},
    {"array_delete", array_delete},
    {"malloc_array_delete", malloc_array_delete},
    {"new_realloc", new_realloc},
    {"aligned_plain", aligned_plain},
    {"plain_aligned", plain_aligned},
    {"wrong_size", wrong_size},
    {"not_virtual", not_virtual},
    {"double_delete", double_delete},
    {"in_thread", in_thread},
    {"often", often},
};

int main(int count, char **words) {
    for (auto &act : acts) {
        if (count == 2 && strcmp(words[1], act.name) == 0) {
            act.act();
            return 0;
        }
    }
    return 2;
}
