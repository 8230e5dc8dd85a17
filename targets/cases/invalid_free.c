// free and realloc of what is no block, in C.
// build: gcc -O1 -g -w -fno-builtin -pthread
#define _GNU_SOURCE
#include "case.h"
#include <alloca.h>
#include <sys/mman.h>

CASE(interior) {
    char *p = malloc(100);
    free(bad ? p + 16 : p);
}

CASE(misaligned) {
    char *p = malloc(100);
    free(bad ? p + 1 : p);
}

// The pointer was moved along while a text was searched.
CASE(advanced) {
    char *p = strdup("key=value of some length"), *start = p;
    while (*p != '=')
        p++;
    free(bad ? p : start);
}

CASE(one_past) {
    char *p = malloc(100);
    free(bad ? p + 112 : p);
}

// The header of the allocator.
CASE(before) {
    char *p = malloc(100);
    free(bad ? p - 16 : p);
}

CASE(interior_of_large) {
    char *p = malloc(1 << 20);
    free(bad ? p + 4096 : p);
}

CASE(stack_array) {
    char here[64] = "on the stack";
    char *p = malloc(64);
    free(bad ? here : p);
    sink = here[3];
}

CASE(stack_variable) {
    long here = 4711;
    long *p = malloc(sizeof *p);
    free(bad ? &here : p);
    sink = here;
}

CASE(alloca_block) {
    char *here = alloca(100), *p = malloc(100);
    here[0] = 1;
    free(bad ? here : p);
}

static char in_data[100] = "initialised";
static char in_bss[100];
static __thread char in_tls[100];

CASE(data) {
    char *p = malloc(100);
    free(bad ? in_data : p);
}

CASE(bss) {
    char *p = malloc(100);
    free(bad ? in_bss : p);
}

CASE(thread_local) {
    char *p = malloc(100);
    free(bad ? in_tls : p);
}

CASE(literal) {
    char *p = malloc(100);
    free(bad ? "a literal" : p);
}

CASE(function) {
    char *p = malloc(100);
    free(bad ? (void *)&function : p);
}

CASE(environment) {
    char *p = malloc(100);
    free(bad ? getenv("PATH") : p);
}

CASE(mapping) {
    char *map = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *p = malloc(100);
    free(bad ? map : p);
    munmap(map, 8192);
}

CASE(inside_mapping) {
    char *map = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *p = malloc(100);
    free(bad ? map + 4112 : p);
    munmap(map, 8192);
}

CASE(never_mapped) {
    char *p = malloc(100);
    free(bad ? (char *)0x123456789ab0 : p);
}

CASE(small_number) {
    char *p = malloc(100);
    free(bad ? (char *)16 : p);
}

CASE(uninitialised) {
    char **two = malloc(2 * sizeof *two);
    memset(two, 0xa5, 2 * sizeof *two);
    if (!bad)
        two[1] = malloc(10);
    free(two[1]);
    free(two);
}

CASE(realloc_interior) {
    char *p = malloc(100);
    free(realloc(bad ? p + 16 : p, 200));
}

CASE(realloc_stack) {
    char here[64] = "on the stack";
    char *p = malloc(64);
    free(realloc(bad ? here : p, 200));
    sink = here[3];
}

CASE(realloc_data) {
    char *p = malloc(100);
    free(realloc(bad ? in_data : p, 200));
}

struct record {
    long number;
    char name[40];
};

CASE(member) {
    struct record *p = malloc(sizeof *p);
    free(bad ? (void *)p->name : p);
}

// A block cut from a larger one by a pool of the program's own.
CASE(from_pool) {
    char *pool = malloc(4096), *p = pool + 1024;
    p[0] = 1;
    if (bad)
        free(p);
    free(pool);
}

static void *free_in_thread(void *bad) {
    char here[64] = "on the stack of a thread";
    char *p = malloc(64);
    free(bad ? here : p);
    sink = here[3];
    return 0;
}

CASE(stack_of_thread) { in_thread(free_in_thread, bad ? "bad" : 0); }

static void *free_given(void *p) {
    free(p);
    return 0;
}

// The stack of another thread, which waits for us.
CASE(stack_of_other_thread) {
    char here[64] = "on the stack of main";
    char *p = malloc(64);
    in_thread(free_given, bad ? here : p);
    sink = here[3];
}
