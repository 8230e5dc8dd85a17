// Ends by a signal, in C.
// build: gcc -O1 -g -w -fno-builtin -pthread
#define _GNU_SOURCE
#include "case.h"
#include <assert.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

struct record {
    long number[8];
    struct record *next;
};

// Whatever the compiler knows of a pointer, it forgets here.
static void *NOINLINE as_given(void *p) {
    __asm__ volatile("" : "+r"(p));
    return p;
}

CASE(null_read) {
    int here = 1;
    int *p = as_given(bad ? 0 : &here);
    sink = *p;
}

CASE(null_written) {
    int here;
    int *p = as_given(bad ? 0 : &here);
    *p = 1;
}

CASE(null_member) {
    struct record last = {{1}, 0}, first = {{1}, &last};
    struct record *p = as_given(&first);
    sink = p->next->number[0];
    p = p->next->next;
    if (bad)
        sink = p->number[5];
}

CASE(null_called) {
    int (*function)(const char *) = as_given(bad ? 0 : (void *)puts);
    function("called");
}

CASE(null_in_libc) {
    char *p = as_given(bad ? 0 : "text");
    sink = strlen(p);
}

CASE(no_memory_unchecked) {
    char *p = malloc(bad ? PTRDIFF_MAX - 4096 : 4096);
    p[10] = 'x';
    free(p);
}

// Not an address at all.
CASE(not_canonical) {
    long here = 1;
    long *p = as_given(bad ? (void *)0x4141414141414141 : &here);
    sink = *p;
}

CASE(wild) {
    long here = 1;
    long *p = as_given(bad ? (void *)0x123456789000 : &here);
    *p = 2;
}

CASE(wild_call) {
    int (*function)(const char *) = as_given(bad ? (void *)0x123456789000 : (void *)puts);
    function("called");
}

// What lies there would be an illegal instruction, if it could be executed at all.
CASE(data_called) {
    static const unsigned char ud2[] = {0x0f, 0x0b};
    void *block = memcpy(malloc(64), ud2, sizeof ud2);
    int (*function)(const char *) = as_given(bad ? block : (void *)puts);
    function("called");
    free(block);
}

CASE(literal_written) {
    char here[] = "a text";
    char *p = as_given(bad ? "a text" : here);
    p[0] = 'A';
    sink = p[0];
}

CASE(protected_page) {
    char *map = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!bad)
        mprotect(map, 4096, PROT_READ | PROT_WRITE);
    map[100] = 1;
}

CASE(unmapped_page) {
    char *map = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bad)
        munmap(map, 4096);
    map[100] = 1;
}

static int NOINLINE depth(volatile int *above, long left) {
    volatile int here[64];
    here[0] = above ? above[0] + 1 : 0;
    return left == 0 ? here[0] : depth(here, left - 1) + here[0];
}

CASE(stack_overflow) { sink = depth(0, bad ? -1 : 100); }

static void *overflow(void *bad) {
    sink = depth(0, bad ? -1 : 100);
    return 0;
}

CASE(stack_overflow_of_thread) { in_thread(overflow, bad ? "bad" : 0); }

CASE(huge_array_on_stack) {
    size_t size = bad ? 64 << 20 : 64 << 10;
    volatile char here[size];
    here[0] = 1;
    sink = here[0];
}

static void *write_null(void *null) {
    *(volatile int *)null = 1;
    return 0;
}

CASE(null_in_thread) {
    int here;
    in_thread(write_null, bad ? 0 : &here);
}

CASE(division_by_zero) {
    volatile int zero = bad ? 0 : 1;
    sink = 4711 / zero;
}

CASE(illegal_instruction) {
    if (bad)
        __builtin_trap();
}

// A mapped file that shrank.
CASE(past_end_of_file) {
    int file = memfd_create("shrinks", 0);
    ftruncate(file, 8192);
    char *map = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (bad)
        ftruncate(file, 0);
    map[100] = 1;
}

CASE(abort_called) {
    char *volatile block = malloc(4);
    if (bad)
        abort();
    free(block);
}

CASE(assertion) {
    volatile int two = 2;
    assert(two + two == (bad ? 5 : 4));
}

CASE(raised) {
    if (bad)
        raise(SIGSEGV);
}

static sigjmp_buf before;

static void jump_back(int signal) { siglongjmp(before, 1); }

// The program's own handler takes it: not a crash, then a real one.
CASE(after_own_handler) {
    signal(SIGSEGV, jump_back);
    if (sigsetjmp(before, 1) == 0)
        *(volatile char *)as_given("a text") = 'A';
    signal(SIGSEGV, SIG_DFL);
    if (bad)
        *(volatile int *)as_given((void *)16) = 1;
}
