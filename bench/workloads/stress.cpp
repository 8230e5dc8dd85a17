// Everything that is hard for an unwinder, at random, by a fixed seed: setjmp and longjmp, exceptions, fibers,
// signal handlers on an alternate stack, alloca, realigned frames, libraries that come and go. Arguments: rounds,
// threads.
// build: g++ -O2 -g -pthread
#include <alloca.h>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <ucontext.h>
#include <vector>

#define FRAME __attribute__((noinline)) static

constexpr int JUMPS = 60, FIBERS = 4;
constexpr size_t STACK = 64 * 1024;

struct Fiber {
    ucontext_t context;
    char *stack = nullptr;
    bool done = true;
};

// All of a thread; only a fiber's own frames lie on another stack.
struct State {
    unsigned seed = 0;
    jmp_buf jumps[JUMPS + 1];
    int jumpable = 0;
    ucontext_t outside;
    Fiber fibers[FIBERS];
    int fiber = -1;
    bool in_handler = false;
};
static thread_local State *state;

FRAME unsigned next(unsigned below) {
    state->seed = state->seed * 1103515245 + 12345;
    return (state->seed >> 16) % below;
}

// Keeps what it is given in memory, and calls before it from becoming jumps.
static inline void hold(void *memory) { asm volatile("" ::"r"(memory) : "memory"); }

FRAME void touch(size_t size) {
    void *block = malloc(size);
    hold(block);
    free(block);
}

FRAME void descend(int depth);

FRAME void small_frame(int depth) {
    char room[16];
    hold(room);
    touch(8);
    descend(depth - 1);
    touch(9);
}

FRAME void forks(int depth) {
    char room[120];
    hold(room);
    descend(depth - 1);
    touch(10);
    descend(depth - 2);
}

FRAME void variable_frame(int depth) {
    hold(alloca(16 + 16 * next(8)));
    touch(11);
    descend(depth - 1);
    touch(12);
}

FRAME void can_be_jumped_to(int depth) {
    int own = state->jumpable;
    if (own < JUMPS && state->fiber < 0) {
        if (setjmp(state->jumps[own]) == 0) {
            state->jumpable = own + 1;
            descend(depth - 1);
        }
        state->jumpable = own;
    }
    touch(13);
}

FRAME void jumps(int depth) {
    if (state->jumpable > 0 && state->fiber < 0 && next(8) == 0) {
        touch(14);
        longjmp(state->jumps[next(state->jumpable)], 1);
    }
    descend(depth - 1);
}

FRAME void throws(int depth) {
    // A jump out of the try block must find the same jumps as before it.
    int jumpable = state->jumpable;
    try {
        descend(depth - 1);
        if (next(4) == 0) throw std::string("a text that is too long for the string itself");
    } catch (std::string &text) {
        state->jumpable = jumpable;
        touch(text.size());
    }
}

FRAME void owns(int depth) {
    std::map<int, std::string> map;
    for (int i = 0; i < 3; i++) map[next(10)] = "a text that is too long for the string itself";
    descend(depth - 1);
}

struct alignas(64) Wide {
    char bytes[64];
};

FRAME void realigned_frame(int depth) {
    Wide wide;
    hold(&wide);
    touch(20);
    descend(depth - 1);
    touch(21);
}

FRAME void realigned_variable_frame(int depth) {
    Wide wide;
    hold(&wide);
    hold(alloca(1 + next(64)));
    touch(22);
    descend(depth - 1);
    touch(23);
}

static void fiber_main(int index) {
    for (int i = 0; i < 6; i++) {
        int jumpable = state->jumpable;
        state->jumpable = 0;
        descend(3 + next(4));
        state->jumpable = jumpable;
        state->fiber = -1;
        swapcontext(&state->fibers[index].context, &state->outside);
    }
    state->fibers[index].done = true;
}

static void begin(Fiber &fiber, int index) {
    if (fiber.stack) munmap(fiber.stack, STACK);
    void *stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) abort();
    fiber.stack = static_cast<char *>(stack);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = stack;
    fiber.context.uc_stack.ss_size = STACK;
    fiber.context.uc_link = &state->outside;
    makecontext(&fiber.context, reinterpret_cast<void (*)()>(fiber_main), 1, index);
    fiber.done = false;
}

FRAME void switches(int depth) {
    if (state->fiber >= 0 || depth < 3) {
        descend(depth - 1);
        return;
    }
    int index = next(FIBERS);
    if (state->fibers[index].done) begin(state->fibers[index], index);
    state->fiber = index;
    swapcontext(&state->outside, &state->fibers[index].context);
    state->fiber = -1;
    touch(30);
}

static void handler(int) {
    if (state->in_handler) return;
    state->in_handler = true;
    touch(40);
    state->in_handler = false;
}

FRAME void raises(int depth) {
    raise(SIGUSR1);
    descend(depth - 1);
}

FRAME void descend(int depth) {
    static void (*const ways[])(int) = {
        small_frame, forks,    variable_frame, can_be_jumped_to, jumps,
        throws,      owns,     switches,       raises,           realigned_frame,
        realigned_variable_frame,
    };
    if (depth <= 0) touch(1);
    else ways[next(sizeof ways / sizeof *ways)](depth);
    hold(nullptr);
}

FRAME void load_and_unload() {
    void *library = dlopen("libz.so.1", RTLD_NOW);
    if (!library) return;
    auto version = reinterpret_cast<const char *(*)()>(dlsym(library, "zlibVersion"));
    touch(strlen(version()));
    dlclose(library);
}

static void run(unsigned seed, int rounds) {
    std::vector<char> alternate(STACK);
    stack_t stack = {};
    stack.ss_sp = alternate.data();
    stack.ss_size = STACK;
    sigaltstack(&stack, nullptr);
    State own;
    own.seed = seed;
    state = &own;
    for (volatile int i = 0; i < rounds; i = i + 1) {
        own.jumpable = 0;
        if (setjmp(own.jumps[JUMPS]) == 0) descend(6 + next(14));
        own.fiber = -1;
        if (i % 50 == 0) load_and_unload();
    }
    for (Fiber &fiber : own.fibers)
        if (fiber.stack) munmap(fiber.stack, STACK);
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, nullptr);
}

int main(int count, char **arguments) {
    int rounds = count > 1 ? atoi(arguments[1]) : 200;
    int threads = count > 2 ? atoi(arguments[2]) : 1;
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &action, nullptr);
    std::vector<std::thread> others;
    for (int i = 1; i < threads; i++) others.emplace_back(run, 42 + i, rounds);
    run(42, rounds);
    for (auto &other : others) other.join();
    puts("stress: done");
}
