// Danger: everything that changes a stack other than by calls and returns, between allocations at every depth:
// longjmp, exceptions, fibers whose stacks are unmapped or freed, handlers on an alternate stack, alloca,
// realigned frames, libraries that come and go. For the check of the unwinder.
// arguments: rounds, threads
// build: g++ -O2 -g -pthread
// build(frame_pointer): g++ -O2 -g -pthread -fno-omit-frame-pointer
// build(unoptimized): g++ -O0 -g -pthread
#include <alloca.h>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <map>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <ucontext.h>
#include <vector>

#define NOINLINE __attribute__((noinline))
// The compiler must believe that somebody looks at it.
#define KEEP(p) __asm__ volatile("" : : "r"(p) : "memory")

static thread_local unsigned seed;

static unsigned random_below(unsigned bound) {
    seed = seed * 1103515245 + 12345;
    return (seed >> 16) % bound;
}

static NOINLINE void touch(size_t size) {
    void *p = malloc(size);
    KEEP(p);
    free(p);
}

// Places to jump to, innermost last. A fiber has its own: nobody jumps from one stack to another.
static const int PLACES = 60;
static thread_local jmp_buf places[PLACES + 1];
static thread_local int place_count;

struct Fiber {
    ucontext_t context;
    char *stack;
    size_t size;
    bool mapped, done;
};
static const int FIBERS = 4;
static thread_local Fiber fibers[FIBERS];
static thread_local ucontext_t home;
static thread_local bool in_fiber, in_handler;

static void wander(int depth);

static NOINLINE void call(int depth) {
    char room[16];
    KEEP(room);
    touch(8);
    wander(depth - 1);
    touch(9);
}

static NOINLINE void call_twice(int depth) {
    char room[120];
    KEEP(room);
    wander(depth - 1);
    touch(10);
    wander(depth - 2);
}

static NOINLINE void call_with_large_frame(int depth) {
    char room[9000];
    KEEP(room);
    touch(11);
    wander(depth - 1);
}

static NOINLINE void call_with_alloca(int depth) {
    char *room = static_cast<char *>(alloca(random_below(8) * 16 + 16));
    KEEP(room);
    touch(12);
    wander(depth - 1);
    touch(13);
}

static NOINLINE void call_with_place(int depth) {
    int mine = place_count;
    if (mine < PLACES && !in_fiber) {
        if (!setjmp(places[mine])) {
            place_count = mine + 1;
            wander(depth - 1);
        }
        place_count = mine;
    }
    touch(14);
}

static NOINLINE void jump(int depth) {
    if (place_count > 0 && random_below(8) == 0 && !in_fiber) {
        touch(15);
        longjmp(places[random_below(place_count)], 1);
    }
    wander(depth - 1);
}

static NOINLINE void throw_and_catch(int depth) {
    int mine = place_count;
    try {
        wander(depth - 1);
        if (random_below(4) == 0)
            throw std::string("a text that is too long to be kept inside of the string");
    } catch (std::string &text) {
        place_count = mine;
        touch(text.size());
    }
}

static NOINLINE void fill_map(int depth) {
    std::map<int, std::string> map;
    for (int i = 0; i < 3; i++)
        map[random_below(10)] = "another text that is too long to be kept inside";
    wander(depth - 1);
}

struct alignas(64) Aligned {
    char bytes[64];
};

static NOINLINE void call_realigned(int depth) {
    Aligned room;
    KEEP(&room);
    touch(16);
    wander(depth - 1);
    touch(17);
}

static NOINLINE void call_realigned_with_alloca(int depth) {
    Aligned room;
    char *more = static_cast<char *>(alloca(random_below(64) + 1));
    KEEP(&room);
    KEEP(more);
    touch(18);
    wander(depth - 1);
    touch(19);
}

static void live_in_fiber(int number) {
    for (int i = 0; i < 6; i++) {
        int outside = place_count;
        place_count = 0;
        wander(3 + random_below(4));
        place_count = outside;
        in_fiber = false;
        swapcontext(&fibers[number].context, &home);
    }
    fibers[number].done = true;
}

// A fiber on a fresh stack: mapped, in a block of its own that free unmaps, or within the heap.
static void renew(Fiber &fiber, int number) {
    if (fiber.stack != nullptr) {
        if (fiber.mapped)
            munmap(fiber.stack, fiber.size);
        else
            free(fiber.stack);
    }
    static const size_t sizes[] = {65536, 131072, 4 << 20};
    fiber.size = sizes[random_below(3)];
    fiber.mapped = random_below(2) == 0;
    fiber.stack = static_cast<char *>(
        fiber.mapped ? mmap(nullptr, fiber.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                     : malloc(fiber.size));
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack;
    fiber.context.uc_stack.ss_size = fiber.size;
    fiber.context.uc_link = &home;
    makecontext(&fiber.context, reinterpret_cast<void (*)()>(live_in_fiber), 1, number);
    fiber.done = false;
}

static NOINLINE void switch_to_fiber(int depth) {
    if (in_fiber || in_handler || depth < 3) {
        wander(depth - 1);
        return;
    }
    int number = random_below(FIBERS);
    if (fibers[number].stack == nullptr || fibers[number].done)
        renew(fibers[number], number);
    in_fiber = true;
    swapcontext(&home, &fibers[number].context);
    in_fiber = false;
    touch(20);
}

static void handler(int) {
    if (in_handler)
        return;
    in_handler = true;
    touch(21);
    wander(2);
    in_handler = false;
}

static NOINLINE void interrupt(int depth) {
    if (!in_fiber)
        raise(SIGUSR1);
    wander(depth - 1);
}

static void wander(int depth) {
    static void (*const steps[])(int) = {
        call,     call_twice,      call_with_large_frame, call_with_alloca,
        jump,     throw_and_catch, fill_map,              call_realigned,
        interrupt, switch_to_fiber, call_with_place,       call_realigned_with_alloca,
    };
    if (depth <= 0) {
        touch(1);
        return;
    }
    // No way back out of a handler but by its end: it is not entered again while it is left.
    unsigned count = sizeof steps / sizeof *steps;
    unsigned choice = random_below(count);
    if (in_handler && steps[choice] == jump)
        choice = 0;
    steps[choice](depth);
}

static void load_and_unload() {
    void *library = dlopen("libz.so.1", RTLD_NOW);
    if (library == nullptr)
        return;
    auto bound = reinterpret_cast<unsigned long (*)(unsigned long)>(dlsym(library, "compressBound"));
    auto compress = reinterpret_cast<int (*)(void *, unsigned long *, const void *, unsigned long)>(
        dlsym(library, "compress"));
    std::vector<char> from(1000, 'x'), to(bound(1000));
    unsigned long length = to.size();
    compress(to.data(), &length, from.data(), from.size());
    dlclose(library);
}

static void run(unsigned number, int rounds) {
    seed = number;
    static thread_local char alternate[1 << 16];
    stack_t stack = {};
    stack.ss_sp = alternate;
    stack.ss_size = sizeof alternate;
    sigaltstack(&stack, nullptr);
    for (int i = 0; i < rounds; i++) {
        place_count = 0;
        if (!setjmp(places[PLACES]))
            wander(6 + random_below(14));
        place_count = 0;
        in_fiber = false;
        if (i % 20 == 0)
            load_and_unload();
    }
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, nullptr);
}

int main(int argc, char **argv) {
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &action, nullptr);
    int rounds = argc > 1 ? atoi(argv[1]) : 200, threads = argc > 2 ? atoi(argv[2]) : 1;
    std::vector<std::thread> running;
    for (int i = 1; i < threads; i++)
        running.emplace_back(run, 42 + i, rounds);
    run(42, rounds);
    for (std::thread &thread : running)
        thread.join();
    puts("done");
}
