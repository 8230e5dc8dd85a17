// Writes past the end of a block, in C.
// build: gcc -O1 -g -w -fno-builtin -pthread
#include "case.h"
#include <fcntl.h>
#include <wchar.h>

CASE(by_one) {
    char *p = malloc(32);
    p[bad ? 32 : 31] = 'x';
    free(p);
}

// The next byte is slack of the allocator's: nothing else is harmed.
CASE(by_one_into_slack) {
    char *p = malloc(10);
    p[bad ? 10 : 9] = 'x';
    free(p);
}

// The next byte is the size of the next chunk.
CASE(by_one_into_header) {
    char *p = malloc(24), *q = malloc(24);
    p[bad ? 24 : 23] = 0;
    free(p);
    free(q);
}

CASE(by_eight) {
    long *p = malloc(4 * sizeof *p);
    p[bad ? 4 : 3] = -1;
    free(p);
}

// Over the header of the next block and all that is in it.
CASE(over_the_next) {
    char *p = malloc(64), *q = malloc(64);
    memset(p, 0, bad ? 144 : 64);
    free(q);
    free(p);
}

// Into pages that do not exist: 10 bytes, written 16 MiB further.
CASE(far) {
    char *p = malloc(10);
    p[bad ? 0xffffff : 9] = 'x';
    free(p);
}

CASE(a_page_further) {
    char *p = malloc(4096), *q = malloc(4096);
    p[bad ? 4096 + 100 : 4000] = 'x';
    free(q);
    free(p);
}

CASE(mapped_by_one) {
    char *p = malloc(1 << 20);
    p[bad ? (1 << 20) + 8 : (1 << 20) - 1] = 'x';
    free(p);
}

CASE(mapped_far) {
    char *p = malloc(1 << 20);
    p[bad ? (1 << 20) + 8192 : 100] = 'x';
    free(p);
}

CASE(memcpy_too_long) {
    static const char from[64];
    char *p = malloc(48);
    memcpy(p, from, bad ? 64 : 48);
    free(p);
}

CASE(memmove_in_block) {
    char *p = calloc(1, 64);
    memmove(p + 16, p, bad ? 64 : 48);
    free(p);
}

// No room for the terminating zero.
CASE(strcpy_terminator) {
    const char *text = "sixteen letters!";
    char *p = malloc(strlen(text) + (bad ? 0 : 1));
    strcpy(p, text);
    free(p);
}

CASE(strcat_too_long) {
    char *p = malloc(bad ? 16 : 32);
    strcpy(p, "a text, ");
    strcat(p, "and some more");
    free(p);
}

CASE(strncpy_pads) {
    char *p = malloc(32);
    strncpy(p, "short", bad ? 64 : 32);
    free(p);
}

CASE(sprintf_too_long) {
    char *p = malloc(bad ? 16 : 64);
    sprintf(p, "%s has %d of %d", "everybody", 123456, 1234567);
    free(p);
}

CASE(snprintf_wrong_size) {
    char *p = malloc(16);
    snprintf(p, bad ? 64 : 16, "%s", "far longer than sixteen bytes");
    free(p);
}

CASE(loop_to_equal) {
    int *p = malloc(8 * sizeof *p);
    for (int i = 0; bad ? i <= 8 : i < 8; i++)
        p[i] = i;
    free(p);
}

// A size that counts elements where bytes are meant.
CASE(elements_for_bytes) {
    int *p = malloc(bad ? 16 : 16 * sizeof *p);
    for (int i = 0; i < 16; i++)
        p[i] = i;
    free(p);
}

CASE(realloc_shrunk) {
    char *p = malloc(4000);
    p = realloc(p, 64);
    p[bad ? 2000 : 63] = 'x';
    free(p);
}

CASE(realloc_grown) {
    char *p = malloc(16), *wall = malloc(16);
    p = realloc(p, 160);
    p[bad ? 160 : 159] = 'x';
    free(p);
    free(wall);
}

CASE(calloc_by_one) {
    short *p = calloc(16, sizeof *p);
    p[bad ? 16 : 15] = 1;
    free(p);
}

CASE(wide_terminator) {
    const wchar_t *text = L"sixteen letters!";
    wchar_t *p = malloc((wcslen(text) + (bad ? 0 : 1)) * sizeof *p);
    wcscpy(p, text);
    free(p);
}

CASE(wide_set) {
    wchar_t *p = malloc(16 * sizeof *p);
    wmemset(p, L'x', bad ? 20 : 16);
    free(p);
}

struct record {
    long number;
    char name[24];
};

CASE(array_of_structs) {
    struct record *p = malloc(4 * sizeof *p);
    p[bad ? 4 : 3].number = 4711;
    free(p);
}

// Enough for the pointer, not for the struct.
CASE(size_of_pointer) {
    struct record *p = malloc(bad ? sizeof p : sizeof *p);
    p->number = 1;
    p->name[8] = 'x';
    free(p);
}

struct message {
    size_t length;
    char text[];
};

CASE(flexible_member) {
    struct message *p = malloc(sizeof *p + 24);
    p->length = 24;
    p->text[bad ? 24 : 23] = 0;
    free(p);
}

CASE(last_row) {
    int (*p)[8] = malloc(4 * sizeof *p);
    p[3][bad ? 8 : 7] = 1;
    free(p);
}

CASE(row_too_many) {
    int (*p)[8] = malloc(4 * sizeof *p);
    for (int row = 0; row < (bad ? 5 : 4); row++)
        for (int column = 0; column < 8; column++)
            p[row][column] = row * column;
    free(p);
}

CASE(rows_of_their_own) {
    char *row[4];
    for (int i = 0; i < 4; i++)
        row[i] = malloc(48);
    row[2][bad ? 48 : 47] = 'x';
    for (int i = 0; i < 4; i++)
        free(row[i]);
}

CASE(nothing_asked) {
    char *p = malloc(bad ? 0 : 16);
    p[0] = 'x';
    free(p);
}

CASE(aligned_block) {
    void *p;
    if (posix_memalign(&p, 128, 256) != 0)
        return;
    ((char *)p)[bad ? 256 : 255] = 'x';
    free(p);
}

// The kernel writes: past the end it sees no mistake.
CASE(read_too_long) {
    char *p = malloc(32);
    int zeros = open("/dev/zero", O_RDONLY);
    sink = read(zeros, p, bad ? 40 : 32);
    close(zeros);
    free(p);
}

CASE(fgets_too_long) {
    char text[] = "a line that is rather longer than sixteen bytes\n";
    FILE *lines = fmemopen(text, sizeof text - 1, "r");
    char *p = malloc(bad ? 16 : 64);
    fgets(p, 64, lines);
    fclose(lines);
    free(p);
}

// glibc notices by itself, at the free of a block whose header was overwritten.
CASE(noticed_by_glibc) {
    char *p = malloc(2000), *q = malloc(2000), *wall = malloc(10);
    if (bad)
        memset(p + 2000, 0x41, 16);
    free(q);
    free(p);
    free(wall);
}

// Never freed: what was written shows at the end at the earliest.
CASE(never_freed) {
    static char *volatile kept;
    kept = malloc(32);
    kept[bad ? 32 : 31] = 'x';
}

static void *fill(void *block) {
    memset(block, 'x', 48);
    return 0;
}

CASE(in_thread_only) {
    char *p = malloc(bad ? 32 : 48);
    in_thread(fill, p);
    free(p);
}
