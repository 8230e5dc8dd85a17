// The ledger of a target: what the program itself knows it took and gave back.
//
// A program counts its own acts by function and size, without allocating, and appends one page per
// process to the file named by LEDGER:
//
//     process PID PARENT image|fork
//     took malloc 4099 3
//     gave free 4099 2
//     failed malloc 9223372036854775807 1
//     peak 12297
//     end
//
// A test compares the page with the tape for exactly the sizes it names. So a program uses sizes that
// nobody else asks for (4099, 10007, …), and libc's own allocations do not disturb.
//
//     void *p = took(MALLOC, 4099, malloc(4099));
//     give(4099, p);                 // gave(FREE, 4099), then free(p)
//
// Define LEDGER_PEAK before the include where one thread takes and gives everything: then the page
// also states the most bytes of the ledger's sizes that were live at once.

#ifndef LEDGER_H
#define LEDGER_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The functions, in the order of their names below.
enum ledger_api {
    MALLOC, CALLOC, REALLOC, REALLOCARRAY, POSIX_MEMALIGN, ALIGNED_ALLOC, MEMALIGN, VALLOC, PVALLOC,
    FREE, CFREE, FREE_SIZED, FREE_ALIGNED_SIZED, NEW, NEW_ARRAY, DELETE, DELETE_ARRAY,
    LEDGER_APIS
};

static const char *const ledger_api_names[LEDGER_APIS] = {
    "malloc", "calloc", "realloc", "reallocarray", "posix_memalign", "aligned_alloc", "memalign",
    "valloc", "pvalloc", "free", "cfree", "free_sized", "free_aligned_sized", "new", "new[]", "delete",
    "delete[]",
};

#define LEDGER_SIZES 64

// One row per function and size. `key` is the size plus one, 0 while the row is unused.
struct ledger_row {
    uint64_t key;
    uint64_t took, gave, failed;
};

static struct ledger_row ledger_rows[LEDGER_APIS][LEDGER_SIZES];
static uint64_t ledger_live_bytes, ledger_peak_bytes;
static pid_t ledger_pid, ledger_parent;
static const char *ledger_birth = "image";

__attribute__((constructor)) static void ledger_begin(void) {
    ledger_pid = getpid();
    ledger_parent = getppid();
}

static inline struct ledger_row *ledger_find(int api, size_t size) {
    uint64_t key = (uint64_t)size + 1;
    for (int i = 0; i < LEDGER_SIZES; i++) {
        struct ledger_row *row = &ledger_rows[api][i];
        uint64_t seen = 0;
        if (__atomic_compare_exchange_n(&row->key, &seen, key, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return row;
        if (seen == key)
            return row;
    }
    _exit(99); // a program with more sizes than the ledger has rows
}

// Notes the outcome of an allocation, and hands it on. The compiler must believe that the pointer is
// used, or it would leave out the whole pair.
static inline void *took(int api, size_t size, void *p) {
    __asm__ volatile("" : "+r"(p) : : "memory");
    if (p == NULL) {
        __atomic_add_fetch(&ledger_find(api, size)->failed, 1, __ATOMIC_RELAXED);
        return p;
    }
    __atomic_add_fetch(&ledger_find(api, size)->took, 1, __ATOMIC_RELAXED);
    uint64_t live = __atomic_add_fetch(&ledger_live_bytes, size, __ATOMIC_RELAXED);
    if (live > __atomic_load_n(&ledger_peak_bytes, __ATOMIC_RELAXED))
        __atomic_store_n(&ledger_peak_bytes, live, __ATOMIC_RELAXED);
    return p;
}

// Notes that a block of this size ends by this function: before the call, as the tape does.
static inline void gave(int api, size_t size) {
    __atomic_add_fetch(&ledger_find(api, size)->gave, 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&ledger_live_bytes, size, __ATOMIC_RELAXED);
}

// Frees a block of that size.
static inline void give(size_t size, void *block) {
    gave(FREE, size);
    free(block);
}

// Notes the outcome of a realloc from one size to another.
static inline void *retook(int api, size_t from, size_t to, void *p) {
    __asm__ volatile("" : "+r"(p) : : "memory");
    if (p != NULL)
        gave(api, from);
    return took(api, to, p);
}

// To be called by a forked child first: a fresh page; the parent's acts are the parent's.
static inline void ledger_forked(void) {
    for (int api = 0; api < LEDGER_APIS; api++)
        for (int i = 0; i < LEDGER_SIZES; i++)
            ledger_rows[api][i].took = ledger_rows[api][i].gave = ledger_rows[api][i].failed = 0;
    ledger_peak_bytes = ledger_live_bytes;
    ledger_parent = ledger_pid;
    ledger_pid = getpid();
    ledger_birth = "fork";
}

static char ledger_page[32768];
static size_t ledger_used;

static inline void ledger_text(const char *text) {
    size_t n = strlen(text);
    if (ledger_used + n > sizeof ledger_page)
        _exit(99);
    memcpy(ledger_page + ledger_used, text, n);
    ledger_used += n;
}

static inline void ledger_number(uint64_t number) {
    char digits[24];
    int at = sizeof digits - 1;
    digits[at] = 0;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    ledger_text(" ");
    ledger_text(digits + at);
}

static inline void ledger_line(const char *act, int api, uint64_t size, uint64_t count) {
    if (count == 0)
        return;
    ledger_text(act);
    ledger_text(ledger_api_names[api]);
    ledger_number(size);
    ledger_number(count);
    ledger_text("\n");
}

// Appends this process's page in one write. A process calls it once, after its last act.
static inline void ledger_write(void) {
    const char *path = getenv("LEDGER");
    if (path == NULL)
        return;
    ledger_used = 0;
    ledger_text("process");
    ledger_number((uint64_t)ledger_pid);
    ledger_number((uint64_t)ledger_parent);
    ledger_text(" ");
    ledger_text(ledger_birth);
    ledger_text("\n");
    for (int api = 0; api < LEDGER_APIS; api++)
        for (int i = 0; i < LEDGER_SIZES && ledger_rows[api][i].key != 0; i++) {
            const struct ledger_row *row = &ledger_rows[api][i];
            ledger_line("took ", api, row->key - 1, row->took);
            ledger_line("gave ", api, row->key - 1, row->gave);
            ledger_line("failed ", api, row->key - 1, row->failed);
        }
#ifdef LEDGER_PEAK
    ledger_text("peak");
    ledger_number(ledger_peak_bytes);
    ledger_text("\n");
#endif
    ledger_text("end\n");
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, ledger_page, ledger_used) != (ssize_t)ledger_used)
        _exit(98);
    close(fd);
}

#endif
