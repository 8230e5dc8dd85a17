// Reads past the end of a block, in C.
// build: gcc -O1 -g -w -fno-builtin -pthread
#include "case.h"
#include <fcntl.h>
#include <wchar.h>

CASE(by_one) {
    char *p = calloc(1, 32);
    sink = p[bad ? 32 : 31];
    free(p);
}

CASE(by_one_into_slack) {
    char *p = calloc(1, 10);
    sink = p[bad ? 10 : 9];
    free(p);
}

CASE(by_eight) {
    long *p = calloc(4, sizeof *p);
    sink = p[bad ? 4 : 3];
    free(p);
}

// Half of the number lies in the block.
CASE(half_outside) {
    char *p = calloc(1, 36);
    long number;
    memcpy(&number, p + (bad ? 32 : 28), sizeof number);
    sink = number;
    free(p);
}

CASE(far) {
    char *p = calloc(1, 10);
    sink = p[bad ? 0xffffff : 9];
    free(p);
}

CASE(mapped_by_one) {
    char *p = malloc(1 << 20);
    p[0] = 1;
    sink = p[bad ? (1 << 20) + 8 : 0];
    free(p);
}

CASE(mapped_far) {
    char *p = malloc(1 << 20);
    p[100] = 1;
    sink = p[bad ? (1 << 20) + 8192 : 100];
    free(p);
}

CASE(memcpy_too_long) {
    char to[64];
    char *p = calloc(1, 48);
    memcpy(to, p, bad ? 64 : 48);
    sink = to[40];
    free(p);
}

CASE(memcmp_too_long) {
    static const char zeros[64];
    char *p = calloc(1, 48);
    sink = memcmp(p, zeros, bad ? 64 : 48);
    free(p);
}

CASE(strlen_unterminated) {
    char *p = malloc(32);
    memset(p, 'x', 32);
    if (!bad)
        p[31] = 0;
    sink = strlen(p);
    free(p);
}

CASE(strchr_unterminated) {
    char *p = malloc(32);
    memset(p, 'x', 32);
    if (!bad)
        p[31] = 0;
    sink = strchr(p, 'y') != 0;
    free(p);
}

CASE(strdup_unterminated) {
    char *p = malloc(16);
    memcpy(p, "sixteen letters!", 16);
    if (!bad)
        p[15] = 0;
    free(strdup(p));
    free(p);
}

CASE(printf_unterminated) {
    char text[128];
    char *p = malloc(16);
    memcpy(p, "sixteen letters!", 16);
    sink = bad ? snprintf(text, sizeof text, "%s", p) : snprintf(text, sizeof text, "%.16s", p);
    free(p);
}

CASE(wide_unterminated) {
    wchar_t *p = malloc(16 * sizeof *p);
    wmemset(p, L'x', 16);
    if (!bad)
        p[15] = 0;
    sink = wcslen(p);
    free(p);
}

CASE(loop_to_equal) {
    int *p = calloc(8, sizeof *p), sum = 0;
    for (int i = 0; bad ? i <= 8 : i < 8; i++)
        sum += p[i];
    sink = sum;
    free(p);
}

struct narrow {
    long a, b;
};
struct wide {
    long a, b, c, d;
};

// The block holds the smaller struct.
CASE(read_as_larger) {
    struct wide *p = calloc(1, bad ? sizeof(struct narrow) : sizeof(struct wide));
    sink = p->d;
    free(p);
}

CASE(whole_struct) {
    struct wide *p = calloc(1, bad ? sizeof(struct narrow) : sizeof(struct wide));
    struct wide copy = *p;
    sink = copy.a + copy.d;
    free(p);
}

CASE(realloc_shrunk) {
    char *p = calloc(1, 4000);
    p = realloc(p, 64);
    sink = p[bad ? 2000 : 63];
    free(p);
}

CASE(last_row) {
    int (*p)[8] = calloc(4, sizeof *p);
    sink = p[3][bad ? 8 : 7];
    free(p);
}

CASE(row_too_many) {
    int (*p)[8] = calloc(4, sizeof *p);
    sink = p[bad ? 4 : 3][2];
    free(p);
}

CASE(index_of_input) {
    int *p = calloc(16, sizeof *p);
    sink = p[atoi(bad ? "20" : "12")];
    free(p);
}

// The length is what the message says, as heartbeats once were answered.
CASE(length_of_message) {
    unsigned char answer[256];
    unsigned char *message = calloc(1, 32);
    message[0] = bad ? 200 : 31;
    memcpy(answer, message + 1, message[0]);
    sink = answer[0];
    free(message);
}

CASE(nothing_asked) {
    char *p = calloc(1, bad ? 0 : 1);
    sink = p[0];
    free(p);
}

// The kernel reads: past the end it sees no mistake.
CASE(write_too_long) {
    char *p = calloc(1, 32);
    int nowhere = open("/dev/null", O_WRONLY);
    FILE *file = fdopen(nowhere, "w");
    setvbuf(file, 0, _IONBF, 0);
    fwrite(p, 1, bad ? 40 : 32, file);
    fclose(file);
    free(p);
}

static void *sum(void *block) {
    int *p = block, sum = 0;
    for (int i = 0; i < 16; i++)
        sum += p[i];
    sink = sum;
    return 0;
}

CASE(in_thread_only) {
    int *p = calloc(bad ? 12 : 16, sizeof *p);
    in_thread(sum, p);
    free(p);
}
