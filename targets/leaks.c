// One leak, or one way to keep a block, by name; `all` is every one. Prints what became of each block, a line each:
// the case, the size, the kind as `heaptape leaks` calls it. The blocks of one kind and case that are not told apart
// have one size. The library for dlopen is the second argument. With a third there is much to record before, and 8 MiB of
// memory that was given back lie in the heap.
// build: gcc -O0 -g -pthread -ldl
// Not optimised: what is in a register and what on the stack matters.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define KINDS 4
enum kind { REACHABLE, POSSIBLE, INDIRECT, DEFINITE };
static const char *const KIND[KINDS] = {"reachable", "possible", "indirect", "definite"};

static const char *now;
static const char *plugin;

static void expect(size_t size, enum kind kind) {
    char line[128];
    int length = snprintf(line, sizeof line, "%s %zu %s\n", now, size, KIND[kind]);
    if (write(1, line, length) < 0) abort();
}

/* Called deep, and wipes what it has used: no dead pointer stays behind on the stack. */
static __attribute__((noinline)) void call_clean(void (*work)(void)) {
    work();
    volatile char wipe[16384];
    memset((char *)wipe, 0, sizeof wipe);
}

static void *xalloc(size_t size, enum kind kind) {
    expect(size, kind);
    return calloc(1, size);
}

void *global_pointer;
static void **global_array[4];
static __thread void *thread_local_pointer;

static void in_global(void) { global_pointer = xalloc(1001, REACHABLE); }

static void in_static(void) {
    static void *kept;
    kept = xalloc(1002, REACHABLE);
}

static void in_array_of_globals(void) { global_array[2] = xalloc(1003, REACHABLE); }

static void in_tls(void) { thread_local_pointer = xalloc(1004, REACHABLE); }

static void lost(void) { xalloc(1005, DEFINITE); }

static void lost_tree(void) {
    void **root = xalloc(1006, DEFINITE);
    void **left = root[0] = xalloc(1007, INDIRECT);
    root[1] = xalloc(1008, INDIRECT);
    left[3] = xalloc(1009, INDIRECT);
}

/* memcheck's rule: the lowest address stands for the circle. */
static void lost_circle(void) {
    expect(1010, DEFINITE);
    expect(1010, INDIRECT);
    void **a = calloc(1, 1010), **b = calloc(1, 1010);
    a[0] = b;
    b[0] = a;
}

static void kept_chain(void) {
    static void **head;
    void **at = head = xalloc(1011, REACHABLE);
    for (int i = 0; i < 5; i++) at = at[i] = xalloc(1012, REACHABLE);
}

static void interior(void) {
    static char *inside;
    inside = (char *)xalloc(1020, POSSIBLE) + 16;
}

/* A start pointer in a block that is possibly lost leads to one that is. */
static void behind_interior(void) {
    static char *inside;
    void **middle = xalloc(1021, POSSIBLE);
    inside = (char *)middle + 40;
    middle[0] = xalloc(1022, POSSIBLE);
}

static void interior_of_reachable(void) {
    static char **start;
    start = xalloc(1023, REACHABLE);
    start[1] = (char *)xalloc(1024, POSSIBLE) + 100;
}

static void past_the_end(void) {
    static char *end;
    end = (char *)xalloc(1025, DEFINITE) + 1025;
}

static void of_no_bytes(void) {
    static void *kept;
    expect(0, REACHABLE);
    kept = malloc(0);
}

static void hidden_pointer(void) {
    static uintptr_t kept;
    kept = (uintptr_t)xalloc(1026, DEFINITE) ^ 0x5555555555555555;
}

static void unaligned_pointer(void) {
    static char kept[32];
    void *block = xalloc(1027, DEFINITE);
    memcpy(kept + 3, &block, sizeof block);
}

static void in_mapping(void) {
    void **map = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    map[77] = xalloc(1028, REACHABLE);
}

static void in_shared_mapping(void) {
    void **map = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    map[78] = xalloc(1029, REACHABLE);
}

/* The kernel may make one mapping of this and of the chunk that malloc maps beside it. */
static void beside_large_block(void) {
    static void *large;
    large = xalloc(300001, REACHABLE);
    void **map = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    map[5] = xalloc(1030, REACHABLE);
}

static void large_lost(void) { xalloc(300002, DEFINITE); }

static void thread_specific(void) {
    static pthread_key_t keys[40];
    for (int i = 0; i < 40; i++) pthread_key_create(&keys[i], 0);
    pthread_setspecific(keys[2], xalloc(1031, REACHABLE));
    pthread_setspecific(keys[39], xalloc(1032, REACHABLE)); /* in the second level */
}

static pthread_barrier_t barrier;

static void *sleeper(void *block) {
    void *volatile on_stack = block;
    static __thread void *in_thread;
    in_thread = xalloc(1034, REACHABLE);
    pthread_barrier_wait(&barrier);
    pause();
    return on_stack;
}

static void on_stack_of_thread(void) {
    pthread_t thread;
    pthread_barrier_init(&barrier, 0, 2);
    pthread_create(&thread, 0, sleeper, xalloc(1033, REACHABLE));
    pthread_barrier_wait(&barrier);
    usleep(20000);
}

/* Keeps a block in a register only. */
static void *spinner(void *block) {
    register void *kept __asm__("r13") = block;
    block = 0;
    __asm__ volatile("" : "+r"(kept));
    pthread_barrier_wait(&barrier);
    __asm__ volatile("1: pause; jmp 1b" : : "r"(kept));
    return 0;
}

static void in_register_of_thread(void) {
    pthread_t thread;
    pthread_barrier_init(&barrier, 0, 2);
    pthread_create(&thread, 0, spinner, xalloc(1035, REACHABLE));
    pthread_barrier_wait(&barrier);
    usleep(20000);
}

static void *dies(void *unused) {
    (void)unused;
    void *volatile on_stack = xalloc(1036, DEFINITE);
    on_stack = on_stack;
    return 0;
}

static void thread_that_ended(void) {
    pthread_t thread;
    pthread_create(&thread, 0, dies, 0);
    pthread_join(thread, 0);
}

static void *returns(void *size) { return xalloc((size_t)size, (size_t)size == 1040 ? DEFINITE : REACHABLE); }

/* Nobody has taken the second one's yet. */
static void results_of_threads(void) {
    pthread_t thread;
    pthread_create(&thread, 0, returns, (void *)1040);
    pthread_join(thread, 0);
    pthread_create(&thread, 0, returns, (void *)1041);
    usleep(20000);
}

static void detached_thread(void) {
    pthread_t thread;
    pthread_barrier_init(&barrier, 0, 2);
    pthread_create(&thread, 0, sleeper, xalloc(1037, REACHABLE));
    pthread_detach(thread);
    pthread_barrier_wait(&barrier);
    usleep(20000);
}

static void in_open_library(void) {
    void *library = dlopen(plugin, RTLD_NOW);
    void (*keep)(void *, void *) = (void (*)(void *, void *))dlsym(library, "plugin_keep");
    keep(xalloc(1038, REACHABLE), xalloc(1039, REACHABLE)); /* data, and dynamic thread-local storage */
}

static void in_closed_library(void) {
    void *library = dlopen(plugin, RTLD_NOW);
    void (*keep)(void *, void *) = (void (*)(void *, void *))dlsym(library, "plugin_keep");
    keep(xalloc(1040, DEFINITE), xalloc(1041, REACHABLE)); /* libc gives back the storage later */
    dlclose(library);
}

/* length, capacity, references, then the characters: the string of old libstdc++ */
static void old_string(void) {
    static char *text;
    expect(24 + 100 + 1, REACHABLE);
    size_t *block = calloc(1, 24 + 100 + 1);
    block[0] = 90;
    block[1] = 100;
    text = (char *)(block + 3);
}

static void after_length(void) {
    static char *text;
    expect(8 + 777, REACHABLE);
    size_t *block = calloc(1, 8 + 777);
    block[0] = 777;
    text = (char *)(block + 1);
}

static void after_count(void) {
    static char *elements;
    expect(8 + 12 * 35, REACHABLE);
    size_t *block = calloc(1, 8 + 12 * 35);
    block[0] = 35;
    elements = (char *)(block + 1);
}

static void after_wrong_count(void) {
    static char *elements;
    expect(8 + 12 * 37, POSSIBLE);
    size_t *block = calloc(1, 8 + 12 * 37);
    block[0] = 35;
    elements = (char *)(block + 1);
}

/* A large block on each of many small ones: of a sample, the large ones are. */
static void kept_by_many(void) {
    static void **small[100];
    for (int i = 0; i < 100; i++) {
        small[i] = xalloc(24, REACHABLE);
        *small[i] = xalloc(100042, REACHABLE);
    }
}

/* The child keeps one block by one of its parent's, and loses another. */
static void in_forked_child(void) {
    global_pointer = xalloc(1042, REACHABLE);
    pid_t child = fork();
    if (child == 0) {
        xalloc(1043, DEFINITE);
        *(void **)global_pointer = xalloc(1044, REACHABLE);
    } else {
        waitpid(child, 0, 0);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} CASES[] = {
#define CASE(name) {#name, name}
    CASE(in_global), CASE(in_static), CASE(in_array_of_globals), CASE(in_tls), CASE(lost), CASE(lost_tree),
    CASE(lost_circle), CASE(kept_chain), CASE(interior), CASE(behind_interior), CASE(interior_of_reachable),
    CASE(past_the_end), CASE(of_no_bytes), CASE(hidden_pointer), CASE(unaligned_pointer), CASE(in_mapping),
    CASE(in_shared_mapping), CASE(beside_large_block), CASE(large_lost), CASE(thread_specific),
    CASE(on_stack_of_thread), CASE(in_register_of_thread), CASE(thread_that_ended), CASE(detached_thread),
    CASE(in_open_library), CASE(in_closed_library), CASE(old_string), CASE(after_length), CASE(after_count),
    CASE(after_wrong_count), CASE(results_of_threads), CASE(kept_by_many), CASE(in_forked_child),
};

/* So much that whoever records it is behind at the end. */
static void be_busy(void) {
    static void *volatile large[128], *volatile on_top;
    for (size_t i = 0; i < 128; i++) large[i] = memset(malloc(65536), 1, 65536);
    on_top = malloc(64);
    for (size_t i = 0; i < 128; i++) {
        free(large[i]);
        large[i] = 0;
    }
    for (int i = 0; i < 1000000; i++) {
        void *volatile block = malloc(i % 900);
        free(block);
    }
}

int main(int argc, char **argv) {
    plugin = argc > 2 ? argv[2] : "";
    if (argc > 3) call_clean(be_busy);
    for (size_t i = 0; argc > 1 && i < sizeof CASES / sizeof *CASES; i++)
        if (!strcmp(argv[1], CASES[i].name)) {
            now = CASES[i].name;
            call_clean(CASES[i].run);
        }
    return 0;
}
