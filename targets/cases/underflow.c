// Reads and writes before the beginning of a block, in C.
// build: gcc -O1 -g -w -fno-builtin -pthread
#include "case.h"
#include <wchar.h>

CASE(write_by_one) {
    char *p = malloc(32);
    p[bad ? -1 : 0] = 0;
    free(p);
}

CASE(write_by_eight) {
    long *p = malloc(4 * sizeof *p);
    p[bad ? -1 : 0] = 0x41;
    free(p);
}

CASE(write_by_sixteen) {
    char *p = malloc(48);
    p[bad ? -16 : 0] = 'x';
    free(p);
}

CASE(write_struct_before) {
    struct pair {
        long a, b;
    } *p = malloc(4 * sizeof *p);
    p[bad ? -1 : 0].b = 0x51;
    free(p);
}

CASE(write_far) {
    char *p = malloc(1 << 20);
    p[bad ? -8192 : 0] = 'x';
    free(p);
}

CASE(memcpy_before) {
    static const char from[32] = "what goes before";
    char *p = malloc(64);
    memcpy(bad ? p - 8 : p, from, 16);
    free(p);
}

CASE(memset_before) {
    char *p = malloc(64);
    memset(bad ? p - 8 : p, 0x21, 32);
    free(p);
}

CASE(strcpy_before) {
    char *p = malloc(64);
    strcpy(bad ? p - 5 : p, "letters");
    free(p);
}

CASE(wide_before) {
    wchar_t *p = malloc(64);
    wmemset(bad ? p - 2 : p, L'x', 4);
    free(p);
}

CASE(loop_down) {
    int *p = malloc(8 * sizeof *p);
    for (int i = 7; bad ? i >= -1 : i >= 0; i--)
        p[i] = 0;
    free(p);
}

// Trailing blanks are cut off a text of nothing else.
CASE(trim_blanks) {
    char *p = malloc(16), *end = p + 4;
    memcpy(p, "    ", 5);
    if (bad)
        end = p - 1;
    else
        while (end > p && end[-1] == ' ')
            end--;
    *end = 0;
    free(p);
}

CASE(write_realloced) {
    char *p = malloc(16), *wall = malloc(16);
    p = realloc(p, 320);
    p[bad ? -4 : 0] = 0;
    free(p);
    free(wall);
}

static void *write_before(void *p) {
    ((long *)p)[-1] = 0x61;
    return 0;
}

static void *write_first(void *p) {
    ((long *)p)[0] = 0x61;
    return 0;
}

CASE(write_in_thread) {
    long *p = malloc(32);
    in_thread(bad ? write_before : write_first, p);
    free(p);
}

CASE(read_by_one) {
    char *p = calloc(1, 32);
    sink = p[bad ? -1 : 0];
    free(p);
}

CASE(read_by_eight) {
    long *p = calloc(4, sizeof *p);
    sink = p[bad ? -1 : 0];
    free(p);
}

CASE(read_by_sixteen) {
    char *p = calloc(1, 48);
    sink = p[bad ? -16 : 0];
    free(p);
}

CASE(read_mapped_far) {
    char *p = malloc(1 << 20);
    p[0] = 1;
    sink = p[bad ? -8192 : 0];
    free(p);
}

CASE(read_by_memcpy) {
    char to[16];
    char *p = calloc(1, 64);
    memcpy(to, bad ? p - 8 : p, sizeof to);
    sink = to[3];
    free(p);
}

CASE(read_last_of_nothing) {
    char *p = malloc(16);
    p[0] = bad ? 0 : 'x', p[1] = 0;
    sink = p[strlen(p) - 1];
    free(p);
}

CASE(read_row_before) {
    int (*p)[8] = calloc(4, sizeof *p);
    sink = p[bad ? -1 : 0][7];
    free(p);
}

CASE(read_wide) {
    wchar_t *p = calloc(16, sizeof *p);
    sink = p[bad ? -1 : 0];
    free(p);
}

CASE(read_backwards) {
    int *p = calloc(8, sizeof *p), sum = 0;
    for (int i = 7; bad ? i >= -1 : i >= 0; i--)
        sum += p[i];
    sink = sum;
    free(p);
}
