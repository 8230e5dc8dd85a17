// What the programs of cases/ share. `PROGRAM CASE bad|good` runs one case of a file, with its mistake or
// without it: the two differ in nothing else. cases.tsv says of each what is to be found.
//
//     CASE(again) {
//         char *p = malloc(10);
//         free(p);
//         if (bad)
//             free(p);
//     }
//
// The build lines keep mistakes in place: -fno-builtin and -fno-allocation-dce hide from the compiler what malloc,
// free, new and delete mean, so that it drops no block that nobody reads. Stores before a delete it knows all the
// same; where they are the mistake, they are volatile.

#ifndef CASE_H
#define CASE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct a_case {
    const char *name;
    void (*run)(bool bad);
};

#define CASE(NAME)                                                                                           \
    static void NAME(bool bad);                                                                              \
    static const struct a_case case_##NAME __attribute__((used, section("cases"))) = {#NAME, NAME};          \
    static void NAME(bool bad)

// The bounds of the section, by the linker.
extern const struct a_case __start_cases[], __stop_cases[];

#define NOINLINE __attribute__((noinline))

// Takes what was read, so that it has to be.
static volatile long sink;

// Runs `act` in a thread of its own, to its end.
static inline void in_thread(void *(*act)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, 0, act, argument) == 0)
        pthread_join(thread, 0);
}

// Overwrites what a case left below the stack: no block is to be kept by a forgotten copy of its address.
static void NOINLINE wipe_below(void) {
    volatile char below[1 << 15];
    for (size_t i = 0; i < sizeof below; i++)
        below[i] = 0;
}

int main(int count, char **words) {
    for (const struct a_case *it = __start_cases; count == 3 && it < __stop_cases; it++) {
        if (strcmp(it->name, words[1]) == 0) {
            it->run(strcmp(words[2], "bad") == 0);
            wipe_below();
            return 0;
        }
    }
    fprintf(stderr, "usage: %s CASE bad|good\n", words[0]);
    return 2;
}

#endif
