// Danger: many blocks of a few sizes, for a recording that is a sample: by several threads, some of whose blocks
// others free; by realloc, in place, moved and refused; by new and delete; inherited by a forked child.
// build: g++ -O1 -g -pthread

#include "ledger.h"
#include <pthread.h>
#include <sys/wait.h>

enum { SMALL = 43, MIDDLE = 1021, LARGE = 50021, ROWS = 20000, THREADS = 4, INHERITED = 20000 };
// Forty times the mean distance that the test asks for, and more: always in the sample.
enum { HUGE_BLOCK = 3000017, HUGE_BLOCKS = 12 };

struct kept {
    void *small[ROWS], *middle[ROWS], *grown[ROWS];
};

static void *work(void *argument) {
    kept *k = (kept *)argument;
    for (int i = 0; i < ROWS; i++) {
        k->small[i] = took(MALLOC, SMALL, malloc(SMALL));
        k->middle[i] = took(CALLOC, MIDDLE, calloc(1, MIDDLE));
        k->grown[i] = took(MALLOC, 61, malloc(61));
        k->grown[i] = retook(REALLOC, 61, 131, realloc(k->grown[i], 131));
        k->grown[i] = retook(REALLOC, 131, 137, realloc(k->grown[i], 137));
        char *array = (char *)took(NEW_ARRAY, 211, new char[211]);
        gave(DELETE_ARRAY, 211);
        delete[] array;
        void *one = took(NEW, 83, operator new(83));
        gave(DELETE, 83);
        operator delete(one);
        if (i % 10 == 0)
            give(LARGE, took(MALLOC, LARGE, malloc(LARGE)));
        if (i % 4 == 0) {
            give(MIDDLE, k->middle[i]);
            k->middle[i] = NULL;
        }
        if (i % 1000 == 0 && realloc(k->small[i], PTRDIFF_MAX - 4095) == NULL)
            took(REALLOC, PTRDIFF_MAX - 4095, NULL);
    }
    for (int i = 0; i < HUGE_BLOCKS / THREADS; i++) {
        void *p = took(MALLOC, HUGE_BLOCK, malloc(HUGE_BLOCK));
        if (i > 0)
            give(HUGE_BLOCK, p);
    }
    return NULL;
}

static void *give_back(void *argument) {
    kept *k = (kept *)argument;
    for (int i = 0; i < ROWS; i++) {
        give(SMALL, k->small[i]);
        give(137, k->grown[i]);
        if (k->middle[i] != NULL && i % 2 == 0)
            give(MIDDLE, k->middle[i]);
    }
    return NULL;
}

static kept all[THREADS];
static void *inherited[INHERITED];

static void together(void *(*act)(void *)) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, act, &all[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        // Alone: what is live when is then the same each time.
        work(&all[0]);
        give_back(&all[0]);
        ledger_write();
        return 0;
    }
    for (int i = 0; i < INHERITED; i++)
        inherited[i] = took(MALLOC, 307, malloc(307));
    pid_t child = fork();
    if (child == 0) {
        ledger_forked();
        for (int i = 0; i < INHERITED; i += 2)
            give(307, inherited[i]);
        for (int i = 0; i < INHERITED; i++)
            give(311, took(MALLOC, 311, malloc(311)));
        ledger_write();
        _exit(0);
    }
    waitpid(child, NULL, 0);
    together(work);
    // By threads other than those that took them.
    together(give_back);
    ledger_write();
    return 0;
}
