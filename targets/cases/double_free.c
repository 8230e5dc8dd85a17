// Blocks freed twice, in C.
// build: gcc -O1 -g -w -fno-builtin -pthread
#define _GNU_SOURCE
#include "case.h"
#include <malloc.h>

CASE(again) {
    char *p = malloc(10);
    free(p);
    if (bad)
        free(p);
}

// Another free in between: glibc's bins do not notice.
CASE(another_between) {
    char *p = malloc(2000), *q = malloc(2000), *wall = malloc(10);
    free(p);
    free(q);
    if (bad)
        free(p);
    free(wall);
}

// The address lives again when it is freed the second time: the error shows at the free of its new owner.
CASE(after_reuse) {
    char *p = malloc(40);
    free(p);
    char *q = malloc(40);
    if (bad)
        free(p);
    free(q);
}

// A block of its own mapping, gone after the first free.
CASE(mapped) {
    char *p = malloc(1 << 20);
    free(p);
    if (bad)
        free(p);
}

CASE(realloc_after_free) {
    char *p = malloc(100);
    free(p);
    free(bad ? realloc(p, 200) : malloc(200));
}

// realloc has moved the block and freed the old one.
CASE(old_after_realloc) {
    char *p = malloc(100), *wall = malloc(10);
    char *q = realloc(p, 10000);
    if (bad)
        free(p);
    free(q);
    free(wall);
}

// realloc to nothing is a free in glibc.
CASE(after_realloc_to_zero) {
    char *p = malloc(100);
    char *q = realloc(p, 0);
    if (bad)
        free(p);
    (void)q;
}

// An early clean-up, and the common one at the end.
static void NOINLINE handle(char *request, bool broken, bool bad) {
    if (broken) {
        free(request);
        if (!bad)
            return;
    }
    free(request);
}

CASE(error_path) {
    handle(malloc(64), false, bad);
    handle(malloc(64), true, bad);
}

struct node {
    struct node *next;
    char *name;
};

// Two nodes share a name.
CASE(shared_member) {
    struct node *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    a->name = malloc(20);
    b->name = bad ? a->name : malloc(20);
    free(a->name);
    free(b->name);
    free(a);
    free(b);
}

CASE(calloc_twice) {
    int *p = calloc(25, sizeof *p);
    free(p);
    if (bad)
        free(p);
}

CASE(aligned_twice) {
    void *p;
    if (posix_memalign(&p, 256, 1000) != 0)
        return;
    free(p);
    if (bad)
        free(p);
}

CASE(string_twice) {
    char *p = strdup("the quick brown fox jumps over the lazy dog");
    free(p);
    if (bad)
        free(p);
}

// The buffer is the caller's, whoever grew it.
CASE(line_twice) {
    char *line = 0;
    size_t size = 0;
    FILE *words = fmemopen("one\ntwo\n", 8, "r");
    getline(&line, &size, words);
    fclose(words);
    free(line);
    if (bad)
        free(line);
}

static void *free_it(void *p) {
    free(p);
    return 0;
}

CASE(in_two_threads) {
    char *p = malloc(3000);
    in_thread(free_it, p);
    if (bad)
        in_thread(free_it, p);
}

CASE(here_after_thread) {
    char *p = malloc(50);
    in_thread(free_it, p);
    if (bad)
        free(p);
}

// A thousand blocks came and went in between.
CASE(much_later) {
    char *p = malloc(3000), *wall = malloc(10);
    free(p);
    for (int i = 0; i < 1000; i++)
        free(malloc(8 + i % 64));
    if (bad)
        free(p);
    free(wall);
}
