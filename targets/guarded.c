// Danger: every way to touch memory beside a block, or after it was freed; and none ("good").
// arguments: WAY [SIZE]; plugin:LIBRARY gives a block to a library that is opened with RTLD_DEEPBIND, and frees its own
// build: gcc -O1 -g -w -pthread
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile char sink;
static volatile char *block;
static size_t size = 60;

static void touch(const char *way) {
    if (!strcmp(way, "write-1-past")) block[size] = 7;
    if (!strcmp(way, "write-16-past")) block[size + 15] = 7;
    if (!strcmp(way, "write-page-past")) block[size + 5000] = 7;
    if (!strcmp(way, "read-1-past")) sink = block[size];
    if (!strcmp(way, "read-16-past")) sink = block[size + 15];
    if (!strcmp(way, "write-1-before")) block[-1] = 7;
    if (!strcmp(way, "read-1-before")) sink = block[-1];
    if (!strcmp(way, "read-freed")) { free((void *)block); sink = block[0]; }
    if (!strcmp(way, "write-freed")) { free((void *)block); block[size / 2] = 7; }
    if (!strcmp(way, "read-moved")) { realloc((void *)block, 3 * size); sink = block[0]; }
    if (!strcmp(way, "write-1-past-and-free")) { block[size] = 7; free((void *)block); }
    if (!strcmp(way, "free-twice")) { free((void *)block); free((void *)block); }
    if (!strcmp(way, "write-100-past")) block[size + 99] = 7;
    if (!strncmp(way, "free-at:", 8)) free((char *)block + atoi(way + 8));
}

static void *in_thread(void *way) {
    touch(way);
    return 0;
}

// Memory that a child of a process with busy threads keeps back of what it has freed, in MiB; the most of 100 children.
static volatile int stop;

static void *busy(void *unused) {
    while (!stop)
        free(malloc(20));
    return unused;
}

static int most_kept(void) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], 0, busy, 0);
    int most = 0;
    for (int child = 0; child < 100; child++) {
        usleep(300);
        if (!fork()) {
            for (int i = 0; i < 500; i++)
                free(memset(malloc(100000), 1, 100000));
            struct mallinfo2 now = mallinfo2();
            _exit((now.uordblks + now.hblkhd) >> 20);
        }
        int status;
        wait(&status);
        if (!WIFEXITED(status) || WEXITSTATUS(status) > most)
            most = WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
    }
    stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], 0);
    return most;
}

// Blocks of which each `nth` is written past its end; none is freed.
static void write_among(int blocks, int nth) {
    static volatile char *volatile *volatile all;
    all = malloc(blocks * sizeof *all);
    for (int i = 0; i < blocks; i++)
        all[i] = malloc(size);
    for (int i = 0; i < blocks; i += nth)
        all[i][size] = 7;
}

int main(int argc, char **argv) {
    const char *way = argv[1];
    if (argc > 2)
        size = strtoul(argv[2], 0, 10);
    block = malloc(size);
    memset((void *)block, 1, size);
    if (!strncmp(way, "thread:", 7)) {
        pthread_t thread;
        pthread_create(&thread, 0, in_thread, (void *)(way + 7));
        pthread_join(thread, 0);
    } else if (!strncmp(way, "fork:", 5)) {
        if (!fork()) {
            touch(way + 5);
            _exit(0);
        }
        int status;
        wait(&status);
        printf("%d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    } else if (!strncmp(way, "plugin:", 7)) {
        void *library = dlopen(way + 7, RTLD_NOW | RTLD_DEEPBIND);
        if (!library)
            return 1;
        ((void (*)(void *))dlsym(library, "guarded_plugin_free"))((void *)block);
        free(((void *(*)(size_t))dlsym(library, "guarded_plugin_make"))(size));
    } else if (!strcmp(way, "kept-in-children")) {
        printf("%d\n", most_kept());
    } else if (!strcmp(way, "written-all")) {
        write_among(10050, 1);
    } else if (!strcmp(way, "written-among-many")) {
        write_among(20000, 1000);
        for (int i = 0; i < 100; i++)
            sink = *(char *)calloc(1, size);
    } else if (!strcmp(way, "good")) {
        char *zero = malloc(0), *none = calloc(3, 1000), *large = malloc(3 << 20), *page;
        posix_memalign((void **)&page, 1 << 16, 100);
        memset(large, 2, 3 << 20);
        large = realloc(large, 5 << 20);
        int clean = 1;
        for (int i = 0; i < 3000; i++)
            clean &= none[i] == 0;
        printf("%d %d %d %d %d\n", zero != 0, clean, large[(3 << 20) - 1],
               (int)((size_t)page & 0xffff), calloc((size_t)-1, 16) == 0);
        free(zero), free(none), free(large), free(page), free((void *)block);
    } else {
        touch(way);
    }
    return 0;
}
