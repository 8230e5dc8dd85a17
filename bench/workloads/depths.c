// What one allocation costs at the end of a deep stack: ns for a pair of malloc and free, the least of many
// short batches. Run it under `heaptape run` with and without --no-backtraces: the difference is the cost of
// the backtrace's id.
// arguments: depth, repeated|irregular
//   repeated: always from the same place. irregular: through four other frames each, on two alternating paths.
#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOINLINE __attribute__((noinline))
#define KEEP(p) __asm__ volatile("" : : "r"(p) : "memory")

typedef long function(long depth, long a, long b);
static function leaf;
static function *const shapes[16];
static volatile long zero;

static long next(long depth, long a, long b, long number) {
    return depth <= 0 ? leaf(depth, a + 1, b) : shapes[(b + depth * 7 + number * 5) % 16](depth - 1, a + number, b);
}

// A function with so many bytes of locals and so many values in saved registers.
#define SHAPE(number, bytes, values)                                                                      \
    static NOINLINE long f##number(long depth, long a, long b) {                                          \
        long kept[values + 1];                                                                            \
        char room[bytes];                                                                                 \
        KEEP(room);                                                                                       \
        for (int i = 0; i < values; i++)                                                                  \
            kept[i] = a * (i + 3) + zero;                                                                 \
        long result = next(depth, a, b, number);                                                          \
        for (int i = 0; i < values; i++)                                                                  \
            result += kept[i];                                                                            \
        return result + 1;                                                                                \
    }
#define SHAPE_WITH_ALLOCA(number)                                                                         \
    static NOINLINE long f##number(long depth, long a, long b) {                                          \
        char *room = alloca((depth & 15) * 16 + 16);                                                      \
        KEEP(room);                                                                                       \
        return next(depth, a, b, number) + 1;                                                             \
    }
SHAPE(0, 8, 0) SHAPE(1, 16, 1) SHAPE(2, 24, 2) SHAPE(3, 40, 3) SHAPE(4, 8, 4) SHAPE(5, 64, 5)
SHAPE_WITH_ALLOCA(6) SHAPE(7, 120, 0) SHAPE(8, 8, 1) SHAPE(9, 200, 2) SHAPE(10, 8, 3) SHAPE(11, 16, 4)
SHAPE(12, 400, 5) SHAPE(13, 8, 0) SHAPE_WITH_ALLOCA(14) SHAPE(15, 32, 2)
static function *const shapes[16] = {f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15};

static NOINLINE int pair(void) {
    void *p = malloc(64);
    KEEP(p);
    free(p);
    return 1;
}

static NOINLINE int inner(int x) {
    return pair() + x;
}
static NOINLINE int left(int x) {
    char room[40];
    KEEP(room);
    return inner(x) + x;
}
static NOINLINE int right(int x) {
    char room[88];
    KEEP(room);
    return inner(x + 1) + x;
}
static NOINLINE int either(int x) {
    return (x & 1 ? left(x) : right(x)) + 1;
}

static int irregular;
static double best = 1e18;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static NOINLINE long leaf(long depth, long a, long b) {
    enum { BATCHES = 4000, BATCH = 500 };
    for (int batch = 0; batch < BATCHES; batch++) {
        double start = now();
        if (irregular)
            for (int i = 0; i < BATCH; i++)
                either(i);
        else
            for (int i = 0; i < BATCH; i++)
                pair();
        double each = (now() - start) / BATCH;
        if (each < best)
            best = each;
    }
    return a + depth + b;
}

int main(int argc, char **argv) {
    long depth = argc > 1 ? atol(argv[1]) : 32;
    irregular = argc > 2 && strcmp(argv[2], "irregular") == 0;
    shapes[1](depth, 3, 5);
    printf("%.1f\n", best);
    return 0;
}
