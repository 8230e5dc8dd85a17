// An interpreter's way with memory: small blocks that live for a few operations, from a few call paths, 18 frames
// deep. Arguments: pairs per thread, threads. Prints the CPU time of an operation with its malloc and free.
// build: gcc -O2 -g -pthread
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEPT = 16, DEPTH = 11 };

// Threads share no cache line.
struct interpreter {
    _Alignas(128) long pairs;
    unsigned seed;
    void *kept[KEPT];
    double ns;
};

static unsigned next(struct interpreter *it) {
    it->seed = it->seed * 1103515245 + 12345;
    return it->seed >> 16;
}

static double cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

#define FRAME __attribute__((noinline))
// Keeps a call from becoming a jump, which would leave no frame.
#define STAY __asm__ volatile("" ::: "memory")

FRAME static void keep(struct interpreter *it, void *block) {
    void **place = &it->kept[next(it) % KEPT];
    free(*place);
    *place = block;
    STAY;
}

FRAME static void *object_new(size_t size) {
    void *block = malloc(size);
    memset(block, 1, 16);
    STAY;
    return block;
}

FRAME static void number(struct interpreter *it) { keep(it, object_new(32)); STAY; }
FRAME static void text(struct interpreter *it) { keep(it, object_new(48 + next(it) % 80)); STAY; }
FRAME static void tuple(struct interpreter *it) { keep(it, object_new(56)); STAY; }
FRAME static void frame(struct interpreter *it) { keep(it, object_new(400)); STAY; }

FRAME static void operation(struct interpreter *it) {
    unsigned kind = next(it) % 16;
    if (kind < 8) number(it);
    else if (kind < 12) text(it);
    else if (kind < 15) tuple(it);
    else frame(it);
    STAY;
}

FRAME static void loop(struct interpreter *it) {
    double began = cpu_ns();
    for (long i = 0; i < it->pairs; i++) operation(it);
    it->ns = (cpu_ns() - began) / it->pairs;
}

FRAME static void evaluate(struct interpreter *it, int depth) {
    if (depth > 0) evaluate(it, depth - 1);
    else loop(it);
    STAY;
}

static void *run(void *argument) {
    struct interpreter *it = argument;
    evaluate(it, DEPTH);
    for (int i = 0; i < KEPT; i++) free(it->kept[i]);
    return NULL;
}

int main(int count, char **arguments) {
    long pairs = count > 1 ? atol(arguments[1]) : 1000000;
    int threads = count > 2 ? atoi(arguments[2]) : 1;
    if (threads < 1 || threads > 64) return 2;
    static struct interpreter all[64];
    pthread_t others[64];
    double ns = 0;
    for (int i = 0; i < threads; i++) {
        all[i].pairs = pairs;
        all[i].seed = 42 + i;
        if (i > 0) pthread_create(&others[i], NULL, run, &all[i]);
    }
    run(&all[0]);
    for (int i = 1; i < threads; i++) pthread_join(others[i], NULL);
    for (int i = 0; i < threads; i++) ns += all[i].ns / threads;
    printf("pair_ns %.2f\n", ns);
}
