// Deep recursion: blocks at the bottom of 200 frames, and on the way down and up. Arguments: rounds, depth.
// build: gcc -O2 -g
#include <stdio.h>
#include <stdlib.h>

enum { AT_BOTTOM = 400 };

static unsigned seed = 42;

static unsigned next(void) {
    seed = seed * 1103515245 + 12345;
    return seed >> 16;
}

__attribute__((noinline)) static void *block(void) {
    char *made = malloc(16 + next() % 200);
    made[0] = 1;
    __asm__ volatile("" ::: "memory");
    return made;
}

__attribute__((noinline)) static long descend(int depth) {
    if (depth == 0) {
        for (int i = 0; i < AT_BOTTOM; i++) free(block());
        return 1;
    }
    char *own = depth % 4 == 0 ? block() : NULL;
    long below = descend(depth - 1);
    free(own);
    __asm__ volatile("" ::: "memory");
    return below + depth;
}

int main(int count, char **arguments) {
    int rounds = count > 1 ? atoi(arguments[1]) : 1000;
    int depth = count > 2 ? atoi(arguments[2]) : 200;
    long total = 0;
    for (int i = 0; i < rounds; i++) total += descend(depth);
    printf("%ld\n", total);
}
