// Danger: everything that C can give back wrongly, one act per run, by name; `good` does all of it right.
// An act that glibc does not survive ends the program by SIGABRT.
// build: gcc -O1 -g -pthread -w
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern void free_sized(void *, size_t) __attribute__((weak));
extern void free_aligned_sized(void *, size_t, size_t) __attribute__((weak));

// The compiler must not know what is freed, nor that nobody looks at it.
__attribute__((noinline)) static void *hide(const void *pointer) {
    __asm__ volatile("" : "+r"(pointer));
    return (void *)pointer;
}

__attribute__((noinline)) static void *allocate(size_t size) {
    char *block = malloc(size);
    memset(block, 1, size);
    return hide(block);
}

__attribute__((noinline)) static void first_free(void *block) {
    free(block);
    hide(NULL); // so that the call above is no jump
}

__attribute__((noinline)) static void second_free(void *block) {
    free(block);
    hide(NULL); // so that the call above is no jump
}

static char table[256];
static const char constant[256] = "constant";

static void double_free(void) {
    void *block = allocate(64);
    first_free(block);
    second_free(block);
}

// glibc looks only at the head of its list of small freed blocks: it does not see this one.
static void double_free_unseen(void) {
    void *blocks[9];
    for (int i = 0; i < 9; i++)
        blocks[i] = allocate(40);
    for (int i = 0; i < 7; i++)
        free(blocks[i]);
    first_free(blocks[7]);
    free(blocks[8]);
    second_free(blocks[7]);
    _exit(0);
}

static void realloc_freed(void) {
    void *block = allocate(64);
    first_free(block);
    hide(realloc(block, 128));
}

static void inside(void) {
    char *block = allocate(64);
    second_free(hide(block + 16));
}

static void inside_freed(void) {
    char *block = allocate(64);
    first_free(block);
    second_free(hide(block + 24));
}

static void realloc_inside(void) {
    char *block = allocate(64);
    hide(realloc(hide(block + 16), 128));
}

static void stack(void) {
    char local[64] = "local";
    second_free(hide(local));
}

static void *stack_of_thread(void *unused) {
    stack();
    return unused;
}

static void thread_stack(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, stack_of_thread, NULL);
    pthread_join(thread, NULL);
}

static void data(void) { second_free(hide(table + 32)); }
static void constants(void) { second_free(hide(constant)); }
static void code(void) { second_free(hide((void *)&double_free)); }

static void mapping(void) {
    char *pages = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    second_free(hide(pages + 4096));
}

static void never_mapped(void) { second_free(hide((void *)0x10000000010)); }
static void small_number(void) { second_free(hide((void *)0x18)); }

static void moved(void) {
    char *block = allocate(64);
    char *behind = allocate(64); // so that it cannot grow in place
    char *grown = realloc(block, 100000);
    second_free(hide(block));
    free(grown);
    free(behind);
}

static void to_nothing(void) {
    char *block = allocate(64);
    hide(realloc(block, 0));
    second_free(hide(block));
}

static void sized(void) {
    if (free_sized)
        free_sized(allocate(64), 63);
}

static void aligned_sized(void) {
    if (free_aligned_sized) {
        free_aligned_sized(aligned_alloc(64, 128), 32, 128);
        free_aligned_sized(aligned_alloc(64, 128), 64, 64);
        free_sized(aligned_alloc(64, 128), 128);
    }
}

static void *frees(void *block) {
    second_free(block);
    return NULL;
}

static void other_thread(void) {
    void *block = allocate(64);
    pthread_t thread;
    first_free(block);
    pthread_create(&thread, NULL, frees, block);
    pthread_join(thread, NULL);
}

// Two threads in realloc of one large block, for sure: a page of it is closed, so libc must copy (the kernel does not
// move memory of several kinds at once), and each thread waits in its copying for the other.
static pthread_barrier_t barrier;
static char *closed;
static sig_atomic_t is_open;

static void waits_for_the_other(int number) {
    if (is_open)
        _exit(0); // the first one to be done has unmapped it
    pthread_barrier_wait(&barrier);
    mprotect(closed, 4096, PROT_READ | PROT_WRITE);
    is_open = 1;
    pthread_barrier_wait(&barrier);
}

static void *reallocates(void *block) {
    hide(realloc(block, 64 << 20));
    return NULL;
}

static void race(void) {
    pthread_t threads[2];
    char *block = allocate(32 << 20);
    closed = (char *)((uintptr_t)(block + (16 << 20)) & -4096);
    mprotect(closed, 4096, PROT_NONE);
    pthread_barrier_init(&barrier, NULL, 2);
    signal(SIGSEGV, waits_for_the_other);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, reallocates, block);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    _exit(0);
}

static void in_child(void) {
    void *block = allocate(64);
    pid_t child = fork();
    if (child == 0) {
        first_free(block);
        second_free(block);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    free(block);
}

// Freed by the parent before the fork, and by the child after it.
static void freed_before_fork(void) {
    void *block = allocate(5000), *behind = allocate(64);
    first_free(block);
    pid_t child = fork();
    if (child == 0) {
        second_free(block);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    free(behind);
}

// A wrong free after as many right ones as are recorded with backtraces, with what went before as a wrong one, too.
static void late(void) {
    if (!free_sized)
        return;
    free_sized(allocate(64), 60);
    for (int i = 0; i < (1 << 18) - 2; i++)
        free(allocate(8));
    free_sized(allocate(64), 61);
    free_sized(allocate(64), 62);
}

static void many(void) {
    for (int i = 0; i < 500; i++) {
        if (free_sized)
            free_sized(allocate(64), 60);
    }
}

// Everything right, with all functions, by threads and children, with addresses that come again.
static void *works(void *unused) {
    for (int i = 1; i < 2000; i++) {
        char *block = allocate(i % 300 + 1);
        block = realloc(block, i % 500 + 1);
        free(block);
        free(NULL);
    }
    free(realloc(NULL, 10));
    hide(realloc(allocate(20), 0));
    return unused;
}

static void good(void) {
    pthread_t threads[4];
    void *kept = allocate(64), *aligned = NULL;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, works, NULL);
    pid_t child = fork();
    if (child == 0) {
        works(NULL);
        free(kept);
        _exit(0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    waitpid(child, NULL, 0);
    free(kept);
    free(calloc(3, 5));
    free(strdup("text"));
    free(aligned_alloc(64, 128));
    free(valloc(100));
    if (posix_memalign(&aligned, 256, 100) == 0)
        free(aligned);
    if (free_sized && free_aligned_sized) {
        free_sized(malloc(64), 64);
        free_sized(realloc(malloc(64), 100), 100);
        free_aligned_sized(aligned_alloc(64, 128), 64, 128);
        free_sized(NULL, 10);
    }
    if (vfork() == 0) {
        free(malloc(10));
        _exit(0);
    }
}

static const struct {
    const char *name;
    void (*act)(void);
} acts[] = {
    {"good", good},
    {"double_free", double_free},
    {"double_free_unseen", double_free_unseen},
    {"realloc_freed", realloc_freed},
    {"inside", inside},
    {"inside_freed", inside_freed},
    {"realloc_inside", realloc_inside},
    {"stack", stack},
    {"thread_stack", thread_stack},
    {"data", data},
    {"constants", constants},
    {"code", code},
    {"mapping", mapping},
    {"never_mapped", never_mapped},
    {"small_number", small_number},
    {"moved", moved},
    {"to_nothing", to_nothing},
    {"sized", sized},
    {"aligned_sized", aligned_sized},
    {"other_thread", other_thread},
    {"race", race},
    {"in_child", in_child},
    {"freed_before_fork", freed_before_fork},
    {"late", late},
    {"many", many},
};

int main(int count, char **words) {
    for (size_t i = 0; count == 2 && i < sizeof acts / sizeof *acts; i++) {
        if (strcmp(words[1], acts[i].name) == 0) {
            acts[i].act();
            return 0;
        }
    }
    return 2;
}
