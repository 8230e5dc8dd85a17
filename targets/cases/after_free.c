// Uses of blocks that were freed, in C.
// build: gcc -O1 -g -w -fno-builtin -pthread
#define _GNU_SOURCE
#include "case.h"

CASE(byte_read) {
    char *p = calloc(1, 100);
    if (!bad)
        sink = p[50];
    free(p);
    if (bad)
        sink = p[50];
}

CASE(byte_written) {
    char *p = malloc(100);
    if (!bad)
        p[50] = 'x';
    free(p);
    if (bad)
        p[50] = 'x';
}

CASE(read_first) {
    long *p = calloc(1, 32);
    if (!bad)
        sink = p[0];
    free(p);
    if (bad)
        sink = p[0];
}

CASE(write_last) {
    char *p = malloc(64);
    if (!bad)
        p[63] = 'x';
    free(p);
    if (bad)
        p[63] = 'x';
}

CASE(copied_from) {
    char to[64];
    char *p = calloc(1, 64);
    if (!bad)
        memcpy(to, p, 64);
    free(p);
    if (bad)
        memcpy(to, p, 64);
    sink = to[3];
}

CASE(copied_into) {
    static const char from[64];
    char *p = malloc(64);
    if (!bad)
        memcpy(p, from, 64);
    free(p);
    if (bad)
        memcpy(p, from, 64);
}

CASE(length) {
    char *p = strdup("a text");
    if (!bad)
        sink = strlen(p);
    free(p);
    if (bad)
        sink = strlen(p);
}

CASE(printed) {
    char text[64];
    char *p = strdup("a text");
    if (!bad)
        snprintf(text, sizeof text, "%s", p);
    free(p);
    if (bad)
        snprintf(text, sizeof text, "%s", p);
}

CASE(old_after_realloc_read) {
    char *p = calloc(1, 64), *wall = malloc(16);
    char *q = realloc(p, 4000);
    sink = bad ? p[40] : q[40];
    free(q);
    free(wall);
}

CASE(old_after_realloc_write) {
    char *p = calloc(1, 64), *wall = malloc(16);
    char *q = realloc(p, 4000);
    (bad ? p : q)[40] = 'x';
    free(q);
    free(wall);
}

struct node {
    struct node *next;
    long value;
};

static struct node *chain(int length) {
    struct node *list = 0;
    while (length-- > 0) {
        struct node *node = malloc(sizeof *node);
        node->next = list, node->value = length;
        list = node;
    }
    return list;
}

CASE(next_of_freed) {
    struct node *list = chain(4);
    for (int i = 0; i < 4; i++) {
        struct node *next = list->next;
        free(list);
        if (bad)
            sink = (long)list->next;
        list = next;
    }
}

CASE(removed_from_list) {
    struct node *list = chain(3), *second = list->next;
    list->next = second->next;
    free(second);
    if (bad)
        second->value = 7;
    free(list->next);
    free(list);
}

struct listener {
    void (*call)(void);
    long state;
};

static void called(void) { sink = 1; }

CASE(callback) {
    struct listener *p = malloc(sizeof *p);
    p->call = called;
    p->state = 1;
    if (!bad)
        sink = p->state;
    free(p);
    if (bad)
        sink = p->state;
}

CASE(of_own_mapping) {
    char *p = malloc(1 << 20);
    p[5000] = 1;
    if (!bad)
        sink = p[5000];
    free(p);
    if (bad)
        sink = p[5000];
}

// A thousand blocks of other sizes came and went before.
CASE(much_later) {
    char *p = malloc(3000), *wall = malloc(10);
    free(p);
    for (int i = 0; i < 1000; i++)
        free(malloc(8 + i % 64));
    if (bad)
        p[100] = 'x';
    free(wall);
}

// Somebody else's block by now, unless freed blocks are kept for a while.
CASE(after_reuse) {
    char *p = malloc(40);
    free(p);
    char *q = malloc(40);
    (bad ? p : q)[20] = 'x';
    free(q);
}

CASE(returned) {
    char **names = malloc(2 * sizeof *names);
    names[0] = strdup("first");
    names[1] = strdup("second");
    char *chosen = names[1];
    if (!bad)
        sink = chosen[0];
    free(names[0]);
    free(names[1]);
    free(names);
    if (bad)
        sink = chosen[0];
}

CASE(of_aligned) {
    void *p;
    if (posix_memalign(&p, 256, 512) != 0)
        return;
    memset(p, 0, 512);
    if (!bad)
        sink = ((char *)p)[300];
    free(p);
    if (bad)
        sink = ((char *)p)[300];
}

// The file's buffer went with it.
CASE(own_buffer) {
    char *buffer = malloc(4096);
    FILE *nowhere = fopen("/dev/null", "w");
    setvbuf(nowhere, buffer, _IOFBF, 4096);
    fputs("some text", nowhere);
    if (!bad)
        fflush(nowhere);
    else
        free(buffer);
    if (bad)
        fputs("and more", nowhere);
    if (bad)
        _exit(0);
    fclose(nowhere);
    free(buffer);
}

static void *free_it(void *p) {
    free(p);
    return 0;
}

static void *read_it(void *p) {
    sink = ((char *)p)[20];
    return 0;
}

CASE(freed_by_thread) {
    char *p = calloc(1, 64);
    if (!bad)
        sink = p[20];
    in_thread(free_it, p);
    if (bad)
        sink = p[20];
}

CASE(read_by_thread) {
    char *p = calloc(1, 64);
    if (!bad)
        in_thread(read_it, p);
    free(p);
    if (bad)
        in_thread(read_it, p);
}

static void *write_it(void *p) {
    ((char *)p)[20] = 'x';
    return 0;
}

CASE(written_by_thread) {
    char *p = calloc(1, 64);
    if (!bad)
        in_thread(write_it, p);
    free(p);
    if (bad)
        in_thread(write_it, p);
}
