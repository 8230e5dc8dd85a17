// Danger: every way to crash: what is said of it must be true.
// argument: the way
// build: gcc -O0 -g -pthread -Wno-infinite-recursion -Wno-div-by-zero -Wno-use-after-free -Wno-stringop-overflow
#define _GNU_SOURCE
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BIG 300000 // more than glibc's threshold: a mapping of its own, unmapped by free

struct node {
    char name[24];
    struct node *next;
};

static volatile int sink;

static __attribute__((noinline)) void store(char *at) {
    *at = 'x';
}

static __attribute__((noinline)) int fall(volatile char *above) {
    volatile char frame[1024];
    frame[0] = *above;
    return fall(frame) + frame[0];
}

static __attribute__((noinline)) int divide(int a, int b) {
    return a / b;
}

// A block with nothing above it: too big for the holes between libraries, it comes to lie below the gap.
static char *hole_above(size_t size) {
    void *gap = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *block = malloc(size);
    munmap(gap, 2 * size);
    return block;
}

static void *wait_for_ever(void *unused) {
    (void)unused;
    pause();
    return NULL;
}

static void *crash_in_thread(void *unused) {
    (void)unused;
    struct node *node = calloc(1, sizeof *node);
    usleep(20000); // let the others come to rest
    sink = node->next->name[3];
    return NULL;
}

static void *fall_in_thread(void *unused) {
    char first = 0;
    (void)unused;
    free(malloc(1)); // from now on it is recorded
    return (void *)(long)fall(&first);
}

static void on_signal(int signal) {
    (void)signal;
    store(NULL);
}

int main(int argc, char **argv) {
    const char *way = argc > 1 ? argv[1] : "";
    char *first = malloc(100), *block;
    void (*code)(void) = NULL;
    pthread_t threads[3];
    if (strcmp(way, "null") == 0)
        store(NULL);
    if (strcmp(way, "field") == 0)
        sink = ((struct node *)NULL)->next != NULL;
    if (strcmp(way, "before_null") == 0)
        sink = ((char *)NULL)[-8];
    if (strcmp(way, "freed_big") == 0) {
        block = malloc(BIG);
        free(block);
        store(block + 5);
    }
    if (strcmp(way, "overflow") == 0) {
        block = hole_above(8000000);
        for (size_t i = 0;; i++)
            block[i] = 'x';
    }
    if (strcmp(way, "underflow") == 0) {
        block = malloc(BIG);
        for (size_t i = 16;; i++)
            block[-i] = 'x';
    }
    if (strcmp(way, "far") == 0)
        store(first + 0xffffff);
    if (strcmp(way, "text_as_pointer") == 0) {
        struct node *node = malloc(sizeof *node);
        memset(node, 'A', sizeof *node);
        sink = node->next->name[0];
    }
    if (strcmp(way, "wild") == 0)
        store((char *)0x123456789000);
    if (strcmp(way, "literal") == 0)
        store((char *)"a string that cannot be written");
    if (strcmp(way, "code") == 0)
        store((char *)main);
    if (strcmp(way, "no_access") == 0) {
        block = aligned_alloc(4096, 8192);
        mprotect(block, 8192, PROT_NONE);
        store(block + 4100);
    }
    if (strcmp(way, "zero") == 0)
        return divide(argc, argc - 2);
    if (strcmp(way, "quotient") == 0)
        return divide(-2147483647 - 1, argc - 3);
    if (strcmp(way, "trap") == 0)
        __builtin_trap();
    if (strcmp(way, "illegal") == 0)
        __asm__ volatile(".byte 0x06");
    if (strcmp(way, "privileged") == 0)
        __asm__ volatile("hlt");
    if (strcmp(way, "misaligned") == 0)
        __asm__ volatile("movaps %%xmm0, 4(%0)" : : "r"((long)first & ~15L) : "memory");
    if (strcmp(way, "call_null") == 0)
        code();
    if (strcmp(way, "call_block") == 0) {
        *(void **)&code = first + 16;
        code();
    }
    if (strcmp(way, "call_wild") == 0) {
        *(void **)&code = (void *)0x4242424242;
        code();
    }
    if (strcmp(way, "abort") == 0)
        abort();
    if (strcmp(way, "assert") == 0)
        assert(argc == 1);
    if (strcmp(way, "double_free") == 0) {
        free(first);
        free(first);
    }
    char *volatile small = NULL, *volatile next = NULL;
    if (strncmp(way, "smashes", 7) == 0) {
        small = malloc(24);
        next = malloc(2000);
    }
    if (strcmp(way, "smashes_next") == 0) {
        memset(small, 'A', 32);
        free(next);
    }
    if (strcmp(way, "smashes_behind") == 0) {
        malloc(24);
        memset(next, 'A', 2000 + 32);
        free(next);
    }
    if (strcmp(way, "smashes_top") == 0) {
        memset(next, 0xff, 2000 + 32);
        next = malloc(1 << 16);
    }
    if (strcmp(way, "length_of_freed") == 0) {
        small = strdup("a text");
        free(small);
        sink = strlen(small);
    }
    if (strcmp(way, "raise") == 0)
        raise(SIGSEGV);
    if (strcmp(way, "killed") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(way, "stack") == 0) {
        char deepest = 0;
        return fall(&deepest);
    }
    if (strcmp(way, "truncated") == 0) {
        FILE *file = tmpfile();
        block = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
        store(block + 7);
    }
    if (strcmp(way, "thread") == 0) {
        for (int i = 0; i < 2; i++)
            pthread_create(&threads[i], NULL, wait_for_ever, NULL);
        pthread_create(&threads[2], NULL, crash_in_thread, NULL);
        pthread_join(threads[2], NULL);
    }
    if (strcmp(way, "thread_stack") == 0) {
        pthread_create(&threads[0], NULL, fall_in_thread, NULL);
        pthread_join(threads[0], NULL);
    }
    if (strcmp(way, "handler") == 0) {
        signal(SIGUSR1, on_signal);
        raise(SIGUSR1);
    }
    if (strcmp(way, "smashed") == 0) {
        void **frame = __builtin_frame_address(0);
        frame[0] = frame[1] = (void *)0x4141414141414141;
    }
    free(first);
    return 0;
}
